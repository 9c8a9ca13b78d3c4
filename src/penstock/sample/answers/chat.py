"""Chat completions: the object, and the same answer as a stream of chunks."""

from itertools import chain, zip_longest
from typing import Any, Final

from penstock.openai import sse
from penstock.openai.sse import Event
from penstock.sample.answers import logprobs, tools
from penstock.sample.answers.tools import ToolCall
from penstock.sample.answers.words import Heard, Json, Said, count, hear, say

FINGERPRINT: Final = "fp_sample"
_PAD_TO: Final = 16


def answer(body: Json, number: int, created: int) -> Json:
    """Give the whole `chat.completion` object."""
    heard = hear(body["messages"])
    call = tools.called(body, heard)
    said = _choices(body, heard)
    return {
        **_head(body, number, created, "chat.completion"),
        "choices": [_choice(body, number, place, one, call) for place, one in enumerate(said)],
        "usage": _usage(heard, said, call),
    }


def events(body: Json, number: int, created: int) -> list[Event]:
    """Give the chunks: role, words or arguments, finish reason, usage where asked, [DONE]."""
    heard = hear(body["messages"])
    call = tools.called(body, heard)
    said = _choices(body, heard)
    head = _head(body, number, created, "chat.completion.chunk")
    options = body.get("stream_options") or {}
    if options.get("include_usage"):
        head["usage"] = None
    chunks = [{**head, "choices": [part]} for part in _interleaved(body, number, said, call)]
    if options.get("include_obfuscation", True):
        for chunk in chunks:
            chunk["obfuscation"] = _padding(chunk["choices"][0]["delta"])
    if options.get("include_usage"):
        chunks.append({**head, "choices": [], "usage": _usage(heard, said, call)})
    return [*map(sse.encode, chunks), sse.done()]


def _head(body: Json, number: int, created: int, kind: str) -> Json:
    return {
        "id": f"chatcmpl-{number:08d}",
        "object": kind,
        "created": created,
        "model": body["model"],
        "service_tier": "default",
        "system_fingerprint": FINGERPRINT,
    }


def _choices(body: Json, heard: Heard) -> list[Said]:
    limit = body.get("max_completion_tokens", body.get("max_tokens"))
    form = body.get("response_format")
    as_json = isinstance(form, dict) and form.get("type") in ("json_object", "json_schema")
    return [say(heard, limit, choice=place, as_json=as_json) for place in range(body.get("n") or 1)]


def _finish(said: Said, call: ToolCall | None) -> str:
    if call is not None:
        return "tool_calls"
    return "length" if said.cut else "stop"


def _call_id(number: int, place: int) -> str:
    return f"call_{number:08d}{place:02d}"


def _choice(body: Json, number: int, place: int, said: Said, call: ToolCall | None) -> Json:
    message: Json = {"role": "assistant", "content": said.text, "refusal": None, "annotations": []}
    if call is not None:
        function = {"name": call.name, "arguments": call.arguments}
        message["content"] = None
        message["tool_calls"] = [{"id": _call_id(number, place), "type": "function", "function": function}]
    return {
        "index": place,
        "message": message,
        "logprobs": _logprobs(body, [] if call else said.pieces),
        "finish_reason": _finish(said, call),
    }


def _logprobs(body: Json, tokens: list[str]) -> Json | None:
    if not body.get("logprobs") or not tokens:
        return None
    return {"content": logprobs.of_tokens(tokens, body.get("top_logprobs")), "refusal": None}


def _interleaved(body: Json, number: int, said: list[Said], call: ToolCall | None) -> list[Json]:
    """Give the parts of all choices, a round of each in turn, as several answers arrive at once."""
    rounds = zip_longest(*(_parts(body, number, place, one, call) for place, one in enumerate(said)))
    return [part for part in chain.from_iterable(rounds) if part is not None]


def _parts(body: Json, number: int, place: int, said: Said, call: ToolCall | None) -> list[Json]:
    if call is None:
        first: Json = {"role": "assistant", "content": "", "refusal": None}
        middle = [_part(place, {"content": word}, _logprobs(body, [word])) for word in said.pieces]
    else:
        first = {"role": "assistant", "content": None, "refusal": None}
        middle = [_part(place, {"tool_calls": [part]}) for part in _call_parts(_call_id(number, place), call)]
    return [_part(place, first), *middle, _part(place, {}, finish=_finish(said, call))]


def _call_parts(call_id: str, call: ToolCall) -> list[Json]:
    opening = {
        "index": 0,
        "id": call_id,
        "type": "function",
        "function": {"name": call.name, "arguments": ""},
    }
    return [opening, *({"index": 0, "function": {"arguments": delta}} for delta in call.deltas)]


def _part(place: int, delta: Json, probs: Json | None = None, finish: str | None = None) -> Json:
    return {"index": place, "delta": delta, "logprobs": probs, "finish_reason": finish}


def _padding(delta: Json) -> str:
    """Make OpenAI's padding against reading words off packet sizes; here it is not random."""
    content: Any = delta.get("content")
    return "x" * (_PAD_TO - (len(content) if isinstance(content, str) else 0) % _PAD_TO)


def _usage(heard: Heard, said: list[Said], call: ToolCall | None) -> Json:
    out = sum(count(call.arguments) if call else len(one.pieces) for one in said)
    return {
        "prompt_tokens": heard.input_tokens,
        "completion_tokens": out,
        "total_tokens": heard.input_tokens + out,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
