"""What the model answers: the oracle's opinion in the schema asked for, or spoilt on demand."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import uuid4

from service.sandbox.faults import ModelFault
from service.sandbox.model_request import schema_in
from service.sandbox.oracle import Opinion, opinion_on
from service.sandbox.wire import Body

_CHARACTERS_A_TOKEN: Final = 4
_THOUGHTS: Final = 120  #: tokens, whatever was asked
_JSON: Final = "application/json"
#: faults that end the answer for a reason of their own
_FINISH: Final = {
    "max_tokens": "MAX_TOKENS",
    "cut": "MAX_TOKENS",
    "safety": "SAFETY",
    "new_finish": "A_REASON_OF_NEXT_YEAR",
}


def tokens_in(texts: Sequence[str]) -> int:
    return max(1, sum(map(len, texts)) // _CHARACTERS_A_TOKEN)


def answer(
    model: str, config: Mapping[str, Any], texts: Sequence[str], fault: ModelFault | None
) -> Body:
    """Return the body of generateContent's answer."""
    prompt = tokens_in(texts)
    envelope: Body = {"modelVersion": model, "responseId": uuid4().hex}
    if fault == "blocked":
        feedback = {"blockReason": "PROHIBITED_CONTENT"}
        return envelope | {"promptFeedback": feedback, "usageMetadata": _usage(prompt, 0, 0)}
    parts = _parts(config, "\n".join(texts), fault)
    content = {"parts": parts, "role": "model"} if parts else {"role": "model"}
    candidate: Body = {"finishReason": _FINISH.get(fault or "", "STOP"), "index": 0}
    if fault != "safety":
        candidate = {"content": content} | candidate
    said = tokens_in([part["text"] for part in parts]) if parts else 0
    thoughts = config.get("maxOutputTokens", _THOUGHTS) if fault == "max_tokens" else _THOUGHTS
    return envelope | {"candidates": [candidate], "usageMetadata": _usage(prompt, said, thoughts)}


def _usage(prompt: int, said: int, thoughts: int) -> Body:
    parts = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": said,
        "thoughtsTokenCount": thoughts,
    }
    return {
        **{name: count for name, count in parts.items() if count},
        "totalTokenCount": prompt + said + thoughts,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
    }


def _parts(
    config: Mapping[str, Any], prompt: str, fault: ModelFault | None
) -> list[dict[str, Any]]:
    if fault in ("safety", "max_tokens"):
        return []
    text = _text(config, prompt, fault)
    if fault == "fences":
        text = f"```json\n{text}\n```"
    if fault == "cut":
        text = text[: len(text) // 2]
    spoken: dict[str, Any] = {"text": text}
    if fault == "thought":
        return [{"text": "Let me think.", "thought": True}, spoken | {"thoughtSignature": "c2ln"}]
    return [spoken]


def _text(config: Mapping[str, Any], prompt: str, fault: ModelFault | None) -> str:
    opinion = opinion_on(prompt)
    if fault == "prose" or config.get("responseMimeType") != _JSON:
        return f"{opinion.action}, I would say. {opinion.reasoning}"
    body = shaped(opinion, schema_in(config))
    if fault == "nonsense":
        body |= {"action": "MAYBE", "confidence": 7.2}
    return json.dumps(body)


def shaped(opinion: Opinion, schema: Mapping[str, Any]) -> Body:
    """Return the opinion in the schema's own properties and order; what the stand-in has no
    opinion about gets the least value of its type.
    """
    known: Body = {
        "action": opinion.action,
        "confidence": float(opinion.confidence),
        "reasoning": opinion.reasoning,
    }
    properties: Mapping[str, Any] = schema.get("properties") or known
    order = schema.get("propertyOrdering") or list(properties)
    return {name: known.get(name, _least(properties[name])) for name in order if name in properties}


def _least(schema: object) -> object:
    if not isinstance(schema, dict):
        return None
    if isinstance(schema.get("enum"), list) and schema["enum"]:
        return schema["enum"][0]
    kind = str(schema.get("type", "")).upper()
    empty: Body = {"STRING": "", "NUMBER": 0, "INTEGER": 0, "BOOLEAN": False, "ARRAY": []}
    if kind == "OBJECT" and isinstance(properties := schema.get("properties"), dict):
        return {name: _least(inner) for name, inner in properties.items()}
    return empty.get(kind)
