"use strict";
// Shows /openapi.json. All text goes through textContent, so nothing in the document is markup.

const DOCUMENT = "/openapi.json";
const INDENT = "  ";
const REF = /^#\/components\/(schemas|responses)\/(.+)$/;

const byId = (id) => document.getElementById(id);

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function resolved(api, part) {
  const found = part.$ref && REF.exec(part.$ref);
  return found ? api.components[found[1]][found[2]] : part;
}

// A schema as a line or block of text, with the names of schemas left as names.
function form(schema, indent = "") {
  if (schema === true || Object.keys(schema).length === 0) return "anything";
  const found = schema.$ref && REF.exec(schema.$ref);
  if (found) return found[2];
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(" | ");
  const several = schema.anyOf || schema.oneOf || schema.allOf;
  if (several) return several.map((one) => form(one, indent)).join(schema.allOf ? " & " : " | ");
  if (schema.type === "array") return `[${form(schema.items || {}, indent)}]`;
  if (schema.type === "object") return fields(schema, indent);
  const bounds = [schema.format, schema.pattern, range(schema)].filter(Boolean).join(", ");
  return bounds ? `${schema.type} (${bounds})` : String(schema.type);
}

function range(schema) {
  const low = schema.minimum ?? schema.minLength, high = schema.maximum ?? schema.maxLength;
  return low === undefined && high === undefined ? "" : `${low ?? ""}..${high ?? ""}`;
}

function fields(schema, indent) {
  const inner = indent + INDENT;
  const needed = new Set(schema.required);
  const lines = Object.entries(schema.properties || {}).map(([name, one]) => {
    const what = one.description ? `   # ${one.description}` : "";
    return `${inner}${name}${needed.has(name) ? "" : "?"}: ${form(one, inner)}${what}`;
  });
  if (lines.length === 0) return schema.additionalProperties ? "{any name: anything}" : "{}";
  return `{\n${lines.join("\n")}\n${indent}}`;
}

function pairs(rows) {
  const list = element("dl");
  for (const [name, what] of rows) list.append(element("dt", name), element("dd", what));
  return list;
}

function parameters(operation) {
  return (operation.parameters || []).map((one) => {
    const needed = one.required ? ", required" : "";
    const told = one.description ? `: ${one.description}` : "";
    const standard = one.schema.default === undefined ? "" : `, default ${one.schema.default}`;
    return [`${one.name} (${one.in}${needed})`, `${form(one.schema)}${standard}${told}`];
  });
}

function answers(api, operation) {
  return Object.entries(operation.responses).map(([status, given]) => {
    const answer = resolved(api, given);
    const kinds = Object.entries(answer.content || {});
    const isProblem = kinds.some(([kind]) => kind === "application/problem+json");
    const told = isProblem ? answer.description
      : kinds.map(([kind, one]) => `${kind} ${form(one.schema)}`).join(", ");
    return [status, told || answer.description];
  });
}

function shown(api, path, method, operation) {
  const box = element("details", undefined, "card operation");
  box.dataset.words = `${method} ${path} ${operation.summary}`.toLowerCase();
  const head = element("summary");
  head.append(element("strong", method.toUpperCase()), " ", element("code", path), " ",
    element("span", operation["x-role"], "tag"), " ", element("span", operation.summary, "quiet"));
  box.append(head, element("p", operation.description));
  const takes = parameters(operation);
  if (takes.length) box.append(element("h3", "Parameters"), pairs(takes));
  if (operation.requestBody) {
    const schema = operation.requestBody.content["application/json"].schema;
    const needed = operation.requestBody.required ? "Body" : "Body, may be empty";
    box.append(element("h3", needed), element("pre", form(resolved(api, schema))));
  }
  box.append(element("h3", "Answers"), pairs(answers(api, operation)));
  return box;
}

function section(title) {
  const made = element("section");
  made.append(element("h2", title));
  return made;
}

function render(api) {
  byId("version").textContent = `version ${api.info.version}. ${api.info.description}`;
  const sections = new Map();
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const tag = operation.tags[0];
      if (!sections.has(tag)) sections.set(tag, section(tag));
      sections.get(tag).append(shown(api, path, method, operation));
    }
  }
  const bodies = section("bodies");
  for (const [name, schema] of Object.entries(api.components.schemas)) {
    const box = element("details", undefined, "card operation");
    box.dataset.words = name.toLowerCase();
    box.append(element("summary", name), element("pre", form(schema)));
    bodies.append(box);
  }
  byId("content").replaceChildren(...sections.values(), bodies);
}

function filtered() {
  const word = byId("filter").value.trim().toLowerCase();
  for (const box of document.querySelectorAll(".operation")) {
    box.hidden = !box.dataset.words.includes(word);
  }
}

async function load() {
  try {
    const answer = await fetch(DOCUMENT);
    if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
    render(await answer.json());
  } catch (error) {
    byId("notice").textContent = `The document cannot be read: ${error.message}. Load the page again.`;
    byId("notice").hidden = false;
  }
}

byId("filter").addEventListener("input", filtered);
load();
