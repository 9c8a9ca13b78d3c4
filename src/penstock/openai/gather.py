"""A finished stream put together as the plain JSON answer it would have been."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from penstock.openai.request import Endpoint, Json
from penstock.openai.sse import Event

_OBJECT: Final = {Endpoint.CHAT: "chat.completion", Endpoint.COMPLETIONS: "text_completion"}
_TERMINAL: Final = ("response.completed", "response.incomplete", "response.failed")

# Names come once, but some servers repeat them in every delta: the first one stays.
NAMES: Final = frozenset({"role", "id", "type", "name"})
# Of a chunk: built here, or worth nothing once the stream is over.
_PER_CHUNK: Final = frozenset({"object", "choices", "usage", "obfuscation"})


def gather(endpoint: Endpoint, events: Sequence[Event]) -> Json:
    """Give the answer that a whole stream tells. Comments, the end mark and junk tell nothing.

    `id`, `created` and `model` are the first ones told, anything else a chunk tells beside its
    choices is the last one. Tool calls lose their `index`; their order keeps it.
    """
    told = [chunk for event in events if isinstance(chunk := event.json, dict)]
    if endpoint is Endpoint.RESPONSES:
        return _response(told)
    answer: Json = {"id": None, "object": _OBJECT[endpoint], "created": None, "model": None, "choices": []}
    choices: dict[int, Json] = {}
    part = "message" if endpoint is Endpoint.CHAT else "text"
    for chunk in told:
        _add_top(answer, chunk)
        given = chunk.get("choices")
        for place, choice in enumerate(given if isinstance(given, list) else ()):
            if isinstance(choice, dict):
                index = choice.get("index")
                index = index if isinstance(index, int) else place
                into = choices.setdefault(index, {"index": index, part: _empty(part), "finish_reason": None})
                _add_choice(into, choice)
    answer["choices"] = [_closed(choices[index]) for index in sorted(choices)]
    return answer


def _empty(part: str) -> Any:  # noqa: ANN401
    return {} if part == "message" else _Text()


def _add_top(answer: Json, chunk: Json) -> None:
    """Take what stands beside the choices; null never replaces a value."""
    usage = chunk.get("usage")
    if isinstance(usage, dict):
        answer["usage"] = usage
    for name, value in chunk.items():
        if name in _PER_CHUNK:
            continue
        keep_first = name in ("id", "created", "model") and answer[name] not in (None, "")
        if not keep_first and (value is not None or name not in answer):
            answer[name] = value


def _add_choice(into: Json, choice: Json) -> None:
    for name, value in choice.items():
        if name in ("index", "message"):  # a message beside the deltas would tell all of them twice
            continue
        if name == "delta":
            if isinstance(value, dict) and "message" in into:
                _add_delta(into["message"], value)
        elif name in ("text", "logprobs") or isinstance(value, list):
            into[name] = _merged(into.get(name), value)
        elif value is not None or name not in into:
            into[name] = value


def _add_delta(message: Json, delta: Json) -> None:
    for name, value in delta.items():
        if name == "tool_calls" and isinstance(value, list):
            calls = message.get(name)
            message[name] = calls = calls if type(calls) is list else []
            for call in value:
                if isinstance(call, dict):
                    _add_call(calls, call)
        else:
            _merge_in(message, name, value)


def _add_call(calls: list[Json], delta: Json) -> None:
    """Find the call that a delta belongs to, by index, else by id, else the last one; and add to it."""
    index, call_id = delta.get("index"), delta.get("id")
    if isinstance(index, int):
        known = next((call for call in calls if call["index"] == index), None)
    elif call_id:
        known = next((call for call in calls if call.get("id") == call_id), None)
    else:
        known = calls[-1] if calls else None
    if known is None:
        known = {"index": index if isinstance(index, int) else len(calls)}
        calls.append(known)
    for name, value in delta.items():
        if name != "index":
            _merge_in(known, name, value)


class _Text(list[str]):
    """A text that still grows; joined once at the end, since a long answer has 100,000 pieces."""


def _merged(old: Any, new: Any) -> Any:  # noqa: ANN401
    """Put two pieces of one value together: texts and lists grow, objects merge, the rest is replaced."""
    if new is None:
        return old
    if isinstance(new, str):
        text = old if isinstance(old, _Text) else _Text()
        text.append(new)
        return text
    if isinstance(new, list):
        entries = old if type(old) is list else []
        entries.extend(new)
        return entries
    if isinstance(new, dict):
        into = old if isinstance(old, dict) else {}
        for name, value in new.items():
            _merge_in(into, name, value)
        return into
    return new


def _merge_in(into: Json, name: str, value: Any) -> None:  # noqa: ANN401
    if name in NAMES and isinstance(value, str):
        into[name] = into.get(name) or value
    else:
        into[name] = _merged(into.get(name), value)


def _closed(choice: Json) -> Json:
    """Finish a choice: texts joined, the calls in their order, and a role if the stream told none."""
    message = choice.get("message")
    if message is not None:
        calls = message.get("tool_calls")
        if type(calls) is list:
            calls.sort(key=lambda call: call["index"])
            message["tool_calls"] = [_without_index(_joined(call)) for call in calls]
        message.setdefault("role", "assistant")
    closed: Json = _joined(choice)
    return closed


def _joined(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, _Text):
        return "".join(value)
    if isinstance(value, dict):
        return {name: _joined(part) for name, part in value.items()}
    return value


def _without_index(call: Json) -> Json:
    return {name: value for name, value in call.items() if name != "index"}


def _response(told: Iterable[Json]) -> Json:
    """Take the response from the event that ends it; items it leaves out come from their own events."""
    items: dict[int, Any] = {}
    for event in told:
        kind, response = event.get("type"), event.get("response")
        if kind == "response.output_item.done":
            index = event.get("output_index")
            items[index if isinstance(index, int) else len(items)] = event.get("item")
        elif kind in _TERMINAL and isinstance(response, dict):
            output = response.get("output") or [items[index] for index in sorted(items)]
            return {"status": kind.removeprefix("response."), **response, "output": output}
    return {}
