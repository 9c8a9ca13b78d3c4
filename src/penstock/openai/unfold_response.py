"""A finished response object as the event stream of the Responses API."""

from collections.abc import Iterator
from typing import Any, Final

from penstock.openai import sse
from penstock.openai.pieces import pieces, spoken
from penstock.openai.request import Json
from penstock.openai.sse import Event

_LAST: Final = {"incomplete": "response.incomplete", "failed": "response.failed"}
_NOT_YET: Final = ("completed_at", "error", "incomplete_details", "usage")

# The field of an item that is told in deltas of its own, and what those deltas are called.
_STREAMED: Final = {
    "function_call": ("arguments", "response.function_call_arguments"),
    "mcp_call": ("arguments", "response.mcp_call_arguments"),
    "custom_tool_call": ("input", "response.custom_tool_call_input"),
}
# Likewise of a content part: the field, and the name of its deltas.
_SPOKEN: Final = {
    "output_text": ("text", "response.output_text"),
    "refusal": ("refusal", "response.refusal"),
    "reasoning_text": ("text", "response.reasoning_text"),
}
_SUMMARY: Final = "response.reasoning_summary"


def events(response: Json) -> list[Event]:
    """Give the events, numbered from 0; the last holds the whole response and is final."""
    last = _LAST.get(response.get("status", ""), "response.completed")
    told = list(_told(response))
    return [
        sse.encode({"type": kind, **fields, "sequence_number": number}, kind)
        for number, (kind, fields) in enumerate(told)
    ] + [sse.encode({"type": last, "response": response, "sequence_number": len(told)}, last, final=True)]


_Told = Iterator[tuple[str, Json]]


def _told(response: Json) -> _Told:
    """Give the name and the fields of every event but the last."""
    begun = {**response, "status": "in_progress", "output": []}
    begun |= {name: None for name in _NOT_YET if name in response}
    yield "response.created", {"response": begun}
    yield "response.in_progress", {"response": begun}
    for index, item in enumerate(response.get("output") or ()):
        yield "response.output_item.added", {"output_index": index, "item": _begun(item)}
        yield from _inside(item, {"item_id": _id(item), "output_index": index})
        yield "response.output_item.done", {"output_index": index, "item": item}


def _begun(item: Json) -> Json:
    """Give an item as it is before anything of it has been told."""
    kind = item.get("type")
    if kind in _STREAMED:
        return _emptied(item, _STREAMED[kind][0], "")
    if kind in ("message", "reasoning"):
        return {**_emptied(item, "content", []), **({"summary": []} if "summary" in item else {})}
    return item


def _emptied(item: Json, name: str, empty: Any) -> Json:  # noqa: ANN401
    begun = {**item, name: empty} if item.get(name) is not None else dict(item)
    return {**begun, "status": "in_progress"} if item.get("status") else begun


def _inside(item: Json, at: Json) -> _Told:
    kind = item.get("type")
    if kind in _STREAMED:
        name, called = _STREAMED[kind]
        text = item.get(name) or ""
        yield from ((f"{called}.delta", {**at, "delta": piece}) for piece in pieces(text))
        yield f"{called}.done", {**at, name: text}
    elif kind in ("message", "reasoning"):
        yield from _summary(item.get("summary") or (), at)
        for index, part in enumerate(item.get("content") or ()):
            yield from _part(part, {**at, "content_index": index})


def _summary(parts: Any, at: Json) -> _Told:  # noqa: ANN401
    for index, part in enumerate(parts):
        here = {**at, "summary_index": index}
        text = part.get("text") or ""
        yield f"{_SUMMARY}_part.added", {**here, "part": {**part, "text": ""}}
        yield from ((f"{_SUMMARY}_text.delta", {**here, "delta": piece}) for piece in pieces(text))
        yield f"{_SUMMARY}_text.done", {**here, "text": text}
        yield f"{_SUMMARY}_part.done", {**here, "part": part}


def _part(part: Json, at: Json) -> _Told:
    name, called = _SPOKEN.get(part.get("type", ""), ("", ""))
    text = part.get(name)
    if not isinstance(text, str):
        yield "response.content_part.added", {**at, "part": part}
        yield "response.content_part.done", {**at, "part": part}
        return
    begun = {**part, name: "", **{key: [] for key in ("annotations", "logprobs") if part.get(key)}}
    yield "response.content_part.added", {**at, "part": begun}
    logged = part.get("type") == "output_text"  # only these deltas have log probabilities, if empty ones
    for piece, own in spoken(text, part.get("logprobs")):
        yield f"{called}.delta", {**at, "delta": piece, **({"logprobs": own} if logged else {})}
    for index, annotation in enumerate(part.get("annotations") or ()):
        told = {**at, "annotation_index": index, "annotation": annotation}
        yield "response.output_text.annotation.added", told
    logprobs = {"logprobs": part.get("logprobs") or []} if logged else {}
    yield f"{called}.done", {**at, name: text, **logprobs}
    yield "response.content_part.done", {**at, "part": part}


def _id(item: Json) -> str:
    """Give what the deltas call the item; some items only have the id of their call."""
    told = item.get("id") or item.get("call_id")
    return told if isinstance(told, str) else ""
