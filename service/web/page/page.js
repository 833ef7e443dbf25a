// The page: shows one summary, read every two seconds, and the settings, read every thirty.
// Text from the model or the exchange is inserted as text nodes only.
"use strict";

const EVERY_MS = 2000;
const SETTINGS_EVERY_MS = 30000;
const GIVE_UP_MS = 8000; // one request; a hanging server is shown as unreachable
const TOKEN = "trader.token";

const byId = (id) => document.getElementById(id);
const state = { lastAt: null, settingsAt: 0, shown: false, timer: null };

function el(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// --- formatting of values ---------------------------------------------------------------------

// Decimals stay text: a JavaScript number would lose digits.
function grouped(text) {
  if (text === null || text === undefined) return "–";
  const [, sign, whole, rest] = /^(-?)(\d+)(\.\d+)?$/.exec(text) ?? [];
  if (whole === undefined) return String(text);
  const digits = (rest ?? "").replace(/\.?0+$/, "");
  return sign + whole.replace(/\B(?=(\d{3})+(?!\d))/g, ",") + digits;
}

// Cut, not rounded: every shown digit is a digit of the value.
function cut(text, places) {
  if (text === null || text === undefined) return "–";
  const [whole, rest = ""] = text.split(".");
  const shown = places && rest ? `${whole}.${rest.slice(0, places)}` : whole;
  return grouped(/[1-9]/.test(shown) ? shown : "0");
}

const signed = (text) => (/^[^-–].*[1-9]|^[1-9]/.test(text) ? `+${text}` : text);
const moodOf = (text) => (!/[1-9]/.test(text) ? "" : text.startsWith("-") ? "bad" : "good");
const hour = (instant) => (instant ? instant.slice(5, 19).replace("T", " ") : "–");

const HEALTH_MOOD = { healthy: "good", warning: "warn", degraded: "warn", unhealthy: "bad" };
const TRADING_MOOD = {
  ACTIVE: "good", REDUCING: "warn", DISABLED: "warn", STANDBY: "warn", HALTED: "bad",
};
const MODE_MOOD = { sandbox: "info", paper: "info", live: "bad" };
const ACTION_MOOD = { BUY: "good", SELL: "bad", HOLD: "info" };
const ORDER_MOOD = { EXECUTED: "good", UNKNOWN: "bad", FAILED: "bad", CANCELLED: "warn" };

function tag(id, text, mood) {
  byId(id).textContent = text;
  byId(id).className = `tag ${mood ?? ""}`;
}

// --- the parts of the page --------------------------------------------------------------------

function row(name, value, mood) {
  return [el("dt", "", name), el("dd", `number ${mood ?? ""}`, value)];
}

function gainRow(name, text, places) {
  const shown = cut(text, places);
  return row(name, signed(shown), moodOf(shown));
}

function changeOf(ticker) {
  if (!ticker || !ticker.change_since_close_ratio) return null;
  const percent = (Number(ticker.change_since_close_ratio) * 100).toFixed(2);
  return el("span", `number end ${moodOf(percent)}`, `${signed(percent)} % since 09:00 KST`);
}

// What sells the position without a signal, or why nothing would.
function stopRows(stop, places) {
  if (!stop) return [];
  const distance = stop.distance_pct === null ? "" : ` (${cut(stop.distance_pct, 2)} % away)`;
  const age = stop.price_age_seconds === null ? "no price" : `price of ${Math.round(stop.price_age_seconds)} s ago`;
  const watched = stop.watched ? age : `no: ${stop.unwatched_because.replaceAll("_", " ")}`;
  return [
    ...row("Stop", cut(stop.stop_price, places) + distance),
    ...row("Watched", stop.selling ? `selling, ${stop.selling}` : watched, stop.watched ? "" : "bad"),
  ];
}

function marketCard(position, ticker) {
  const quote = position.market.split("-")[0];
  const places = quote === "KRW" ? 0 : 8;
  const rows = row("Volume", grouped(position.volume));
  if (position.average_price !== null) {
    rows.push(
      ...row("Average price", cut(position.average_price, places)),
      ...row("Value", cut(position.value, places)),
      ...gainRow("Unrealised", position.unrealised_pnl, places),
      ...stopRows(position.protection, places),
    );
  }
  rows.push(...gainRow("Realised", position.realised_pnl, places));
  return el(
    "div", "card",
    el("div", "line", el("strong", "", position.market), changeOf(ticker)),
    el("div", "price number", position.price === null ? "no price yet" : `${cut(position.price, 8)} ${quote}`),
    el("dl", "", ...rows),
  );
}

function componentItem([name, part]) {
  const reason = part.reason ? el("span", "quiet", part.reason.replaceAll("_", " ")) : null;
  const speed = part.latency_ms === null || part.latency_ms === undefined
    ? null : el("span", "quiet number end", `${part.latency_ms.toFixed(1)} ms`);
  return el(
    "li", "",
    el("div", "line", el("span", `tag ${HEALTH_MOOD[part.status] ?? ""}`, part.status),
      el("strong", "", name.replaceAll("_", " ")), reason, speed),
    part.message ? el("p", "why quiet", part.message) : null,
  );
}

function signalItem(signal) {
  return el(
    "li", "",
    el("div", "line", el("span", `tag ${ACTION_MOOD[signal.action] ?? ""}`, signal.action),
      el("strong", "", signal.market),
      el("span", "number", `confidence ${signal.confidence}`),
      signal.price ? el("span", "number quiet", `at ${grouped(signal.price)}`) : null,
      el("span", "quiet number end", hour(signal.created_at))),
    el("p", "why", signal.reasoning ?? ""),
    verdictLine(signal),
  );
}

function verdictLine(signal) {
  const decision = signal.decision;
  if (!decision) return null;
  const why = decision.lapsed ? `then not ordered, ${decision.lapsed}` : decision.detail ?? decision.reason;
  return el("p", "why quiet", decision.verdict.toLowerCase() + (why ? `: ${why}` : ""));
}

function orderItem(order) {
  const asked = order.funds ? `for ${grouped(order.funds)}` : grouped(order.volume);
  return el(
    "li", "",
    el("div", "line", el("span", `tag ${ORDER_MOOD[order.status] ?? ""}`, order.status.replaceAll("_", " ")),
      el("strong", "", `${order.side} ${order.market}`),
      el("span", "number", asked),
      el("span", "quiet number end", hour(order.created_at))),
    order.executed_volume && /[1-9]/.test(order.executed_volume)
      ? el("p", "why quiet number", `filled ${grouped(order.executed_volume)} for ${grouped(order.executed_funds)}, fee ${grouped(order.paid_fee)}`)
      : null,
    order.reason ? el("p", "why quiet", order.reason) : null,
    order.what_to_do ? el("p", "why", `Stuck. ${order.what_to_do}`) : null,
  );
}

// Only a list's length is shown: its rows would hide the other settings.
function settingText(value) {
  if (value === null) return "off";
  const isTable = Array.isArray(value) && value.some((item) => typeof item === "object");
  return isTable ? `${value.length} rows` : typeof value === "string" ? value : JSON.stringify(value);
}

function settingItem(setting) {
  const without = setting.in_effect ? null : el("span", "tag warn", "not in effect");
  const sentence = setting.in_effect
    ? setting.sentence : `${setting.sentence} Nothing acts on this setting in this version.`;
  return el(
    "li", "",
    el("div", "line", el("strong", "", setting.key), el("span", "number", settingText(setting.value)),
      el("span", "quiet", setting.unit), without),
    el("p", "why quiet", sentence),
  );
}

function list(id, items, none) {
  byId(id).replaceChildren(...(items.length ? items : [el("li", "quiet", none)]));
}

function showHealth(health) {
  tag("overall", health.status, HEALTH_MOOD[health.status]);
  list("components", Object.entries(health.components).map(componentItem), "Nothing checked yet.");
}

function showState(mode, trading) {
  const why = trading.reason ? `: ${trading.reason}` : "";
  tag("mode", mode.toUpperCase(), MODE_MOOD[mode]);
  tag("trading", `trading ${trading.state}${why}`, TRADING_MOOD[trading.state]);
  document.title = `${mode} · upbit-ai-trader`;
}

function show(body) {
  const tickers = new Map(body.prices.map((ticker) => [ticker.market, ticker]));
  showState(body.mode, body.trading);
  byId("clock").textContent = hour(body.time);
  byId("version").textContent = body.version;
  byId("markets").replaceChildren(...body.positions.map((p) => marketCard(p, tickers.get(p.market))));
  showHealth(body.health);
  list("signals", body.signals.map(signalItem), "No signal yet.");
  list("orders", body.orders.map(orderItem), "No order yet.");
}

// --- requests ---------------------------------------------------------------------------------

async function ask(path) {
  const headers = { Accept: "application/json" };
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers.Authorization = `Bearer ${token}`;
  const options = { headers, cache: "no-store", redirect: "error", signal: AbortSignal.timeout(GIVE_UP_MS) };
  return fetch(path, options);
}

function fresh() {
  state.lastAt = Date.now();
  state.shown = true;
  byId("notice").hidden = true;
  byId("login").hidden = true;
  byId("content").classList.remove("stale");
}

// Screen readers announce only the first part; the age changes every time.
function stale(sentence, next = `Trying again every ${EVERY_MS / 1000} s.`) {
  const seen = state.lastAt === null
    ? "Nothing has been received yet."
    : `What stands below is ${Math.round((Date.now() - state.lastAt) / 1000)} s old.`;
  if (byId("what").textContent !== sentence) byId("what").textContent = sentence;
  byId("age").textContent = ` ${seen} ${next}`;
  byId("notice").hidden = false;
  byId("content").classList.toggle("stale", state.shown);
}

async function problemOf(answer) {
  try {
    const problem = await answer.json();
    return problem.detail ? `${problem.title}: ${problem.detail} (${answer.status}).` : `${problem.title} (${answer.status}).`;
  } catch {
    return `The service answered ${answer.status}.`;
  }
}

// While the database is down, health can still say why.
async function healthOnly() {
  try {
    const answer = await ask("/health/detailed");
    const body = await answer.json();
    if (body.mode) showState(body.mode, body.trading);
    if (body.components) showHealth(body);
  } catch { /* the notice already says that the service does not answer */ }
}

async function renewSettings() {
  if (Date.now() - state.settingsAt < SETTINGS_EVERY_MS) return;
  try {
    const answer = await ask("/api/v1/config");
    if (!answer.ok) return;
    list("settings", (await answer.json()).items.map(settingItem), "No settings.");
    state.settingsAt = Date.now();
  } catch { /* requested again after the next summary */ }
}

// Returns whether another request makes sense.
async function renew() {
  try {
    const answer = await ask("/api/v1/dashboard/summary");
    if (answer.ok) {
      show(await answer.json());
      fresh();
      await renewSettings();
      return true;
    }
    if (answer.status === 401) {
      const wrong = sessionStorage.getItem(TOKEN) !== null;
      sessionStorage.removeItem(TOKEN);
      stale(wrong ? "This token is not known here." : "This service needs a token to show its data.", "");
      byId("login").hidden = false;
      return false;
    }
    stale(await problemOf(answer));
    if (answer.status >= 500) await healthOnly();
  } catch (error) {
    stale(error.name === "TimeoutError" ? "The service does not answer in time." : "The service cannot be reached.");
  }
  return true;
}

async function turn() {
  clearTimeout(state.timer);
  // A page in the background sends no requests; it is refreshed as soon as it is visible.
  const again = document.hidden || (await renew());
  clearTimeout(state.timer);
  if (again) state.timer = setTimeout(turn, EVERY_MS);
}

byId("login").addEventListener("submit", (event) => {
  event.preventDefault();
  // Kept for this tab only, and sent in a header: in a URL it would end in logs and histories.
  sessionStorage.setItem(TOKEN, byId("token").value.trim());
  byId("token").value = "";
  turn();
});
document.addEventListener("visibilitychange", () => { if (!document.hidden) turn(); });
turn();
