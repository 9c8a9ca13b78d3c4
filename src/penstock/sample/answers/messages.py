"""Anthropic's messages, as little of them as a pass-through test needs."""

from penstock.openai import sse
from penstock.openai.sse import Event
from penstock.sample.answers.words import Heard, Json, Said, hear, say


def answer(body: Json, number: int, _created: int) -> Json:
    """Give the whole message."""
    heard, said = _spoken(body)
    return {
        **_begun(body, number),
        "content": [{"type": "text", "text": said.text}],
        "stop_reason": _reason(said),
        "usage": {"input_tokens": heard.input_tokens, "output_tokens": len(said.pieces)},
    }


def events(body: Json, number: int, _created: int) -> list[Event]:
    """Give the same message as named events, with the ping that Anthropic puts in."""
    heard, said = _spoken(body)
    start = {**_begun(body, number), "usage": {"input_tokens": heard.input_tokens, "output_tokens": 1}}
    deltas = [{"type": "text_delta", "text": word} for word in said.pieces]
    payloads: list[Json] = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": _reason(said), "stop_sequence": None},
            "usage": {"output_tokens": len(said.pieces)},
        },
        {"type": "message_stop"},
    ]
    return [sse.encode(payload, payload["type"], final=payload is payloads[-1]) for payload in payloads]


def _spoken(body: Json) -> tuple[Heard, Said]:
    heard = hear(body["messages"], body.get("system"))
    return heard, say(heard, body.get("max_tokens"))


def _begun(body: Json, number: int) -> Json:
    return {
        "id": f"msg_{number:08d}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _reason(said: Said) -> str:
    return "max_tokens" if said.cut else "end_turn"
