"""Responses as a stream: numbered events, each with its name, and no [DONE]."""

from collections.abc import Iterator

from penstock.openai import sse
from penstock.openai.sse import Event
from penstock.sample.answers import logprobs, responses, tools
from penstock.sample.answers.tools import ToolCall
from penstock.sample.answers.words import Json, Said, hear


def events(body: Json, number: int, created: int) -> list[Event]:
    """Give the events from response.created to response.completed (or .incomplete)."""
    payloads = list(_payloads(body, number, created))
    for place, payload in enumerate(payloads):
        payload["sequence_number"] = place
    last = len(payloads) - 1
    return [
        sse.encode(payload, payload["type"], final=place == last) for place, payload in enumerate(payloads)
    ]


def _payloads(body: Json, number: int, created: int) -> Iterator[Json]:
    heard = hear(body["input"], body.get("instructions"))
    call = tools.called(body, heard)
    said = responses.spoken(body, heard)
    begun = responses.begun(body, number, created)
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    yield from _call(number, call) if call else _message(body, number, said)
    whole = responses.finished(body, number, created, call, said)
    yield {"type": f"response.{whole['status']}", "response": whole}


def _message(body: Json, number: int, said: Said) -> Iterator[Json]:
    item, whole = (responses.message_item(body, number, text) for text in (None, said))
    place: Json = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    empty, part = responses.text_part(body, []), responses.text_part(body, said.pieces)
    padded = (body.get("stream_options") or {}).get("include_obfuscation", True)
    yield {"type": "response.output_item.added", "output_index": 0, "item": item}
    yield {"type": "response.content_part.added", **place, "part": empty}
    for word in said.pieces:
        probs = logprobs.without_bytes(responses.probabilities(body, [word]))
        delta = {"type": "response.output_text.delta", **place, "delta": word, "logprobs": probs}
        yield {**delta, "obfuscation": "x" * (16 - len(word) % 16)} if padded else delta
    probs = logprobs.without_bytes(part["logprobs"])
    yield {"type": "response.output_text.done", **place, "text": said.text, "logprobs": probs}
    yield {"type": "response.content_part.done", **place, "part": part}
    yield {"type": "response.output_item.done", "output_index": 0, "item": whole}


def _call(number: int, call: ToolCall) -> Iterator[Json]:
    item, whole = (responses.call_item(number, call, done=done) for done in (False, True))
    place: Json = {"item_id": item["id"], "output_index": 0}
    yield {"type": "response.output_item.added", "output_index": 0, "item": item}
    for delta in call.deltas:
        yield {"type": "response.function_call_arguments.delta", **place, "delta": delta}
    yield {
        "type": "response.function_call_arguments.done",
        **place,
        "name": call.name,
        "arguments": call.arguments,
    }
    yield {"type": "response.output_item.done", "output_index": 0, "item": whole}
