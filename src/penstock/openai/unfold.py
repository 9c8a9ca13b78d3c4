"""A finished answer as the event stream its provider would have sent; and a stored stream once more."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from penstock.openai import sse, unfold_choice, unfold_response
from penstock.openai.hide_usage import HideUsage
from penstock.openai.request import Endpoint, Json
from penstock.openai.sse import DONE, Event

_OBJECT: Final = {Endpoint.CHAT: "chat.completion.chunk", Endpoint.COMPLETIONS: "text_completion"}


def unfold(endpoint: Endpoint, answer: Json, *, include_usage: bool) -> list[Event]:
    """Give the events of a finished answer; the last one is final.

    `include_usage` is what the client asked of a chat or completion stream: a chunk that tells the
    usage, and `usage: null` on the others. Where the answer has no usage there is neither.
    """
    if endpoint is Endpoint.RESPONSES:
        return unfold_response.events(answer)
    usage = answer.get("usage") if include_usage else None
    head = _head(endpoint, answer)
    tail: Json = {} if usage is None else {"usage": None}
    events = [
        sse.encode({**head, **beside, "choices": [choice], **tail})
        for choice, beside in _with_extras(_choices(endpoint, answer), _extras(answer))
    ]
    if usage is not None:
        events.append(sse.encode({**head, "choices": [], "usage": usage}))
    return [*events, sse.done()]


def replayed(
    endpoint: Endpoint, events: Sequence[Event], usage: Json | None, *, include_usage: bool
) -> list[Event]:
    """Give a stored stream as this reader asked for it; the last event is final, and no other.

    Everything but the usage chunk keeps its bytes. `usage` is the answer's usage object: it makes
    the chunk where the stored list has none and no other chunk tells it.
    """
    again = list(events)
    if endpoint is not Endpoint.RESPONSES:
        if not include_usage:
            hide = HideUsage()
            again = [shown for event in events for shown in hide.event(event)]
        elif usage is not None and not any(_tells_usage(event) for event in events):
            again[_before_done(again) :] = [_usage_chunk(again, usage), *again[_before_done(again) :]]
    last = len(again) - 1
    return [_marked(event, final=place == last) for place, event in enumerate(again)]


def _head(endpoint: Endpoint, answer: Json) -> Json:
    """Give what stands on every chunk: the names, and any other single value beside the choices."""
    head = {name: answer.get(name) for name in ("id", "object", "created", "model")}
    head["object"] = _OBJECT[endpoint]
    return head | {name: value for name, value in _beside(answer) if not isinstance(value, dict | list)}


def _extras(answer: Json) -> Json:
    """Give what is too large for every chunk, as prompt filter results are: it stands on the first."""
    return {name: value for name, value in _beside(answer) if isinstance(value, dict | list)}


def _beside(answer: Json) -> Iterator[tuple[str, Any]]:
    known = ("id", "object", "created", "model", "choices", "usage")
    return ((name, value) for name, value in answer.items() if name not in known)


def _choices(endpoint: Endpoint, answer: Json) -> Iterator[Json]:
    parts = unfold_choice.chat if endpoint is Endpoint.CHAT else unfold_choice.completion
    for place, choice in enumerate(answer["choices"]):
        yield from parts(choice, place)


def _with_extras(choices: Iterator[Json], extras: Json) -> Iterator[tuple[Json, Json]]:
    for choice in choices:
        yield choice, extras
        extras = {}


def _tells_usage(event: Event) -> bool:
    told = event.json
    return isinstance(told, dict) and isinstance(told.get("usage"), dict)


def _usage_chunk(events: Sequence[Event], usage: Json) -> Event:
    """Make the chunk beside its neighbours: their names, no choices."""
    like = next((event.json for event in reversed(events) if isinstance(event.json, dict)), {})
    names = ("id", "object", "created", "model", "service_tier", "system_fingerprint")
    head = {name: like[name] for name in names if name in like}
    return sse.encode({**head, "choices": [], "usage": usage})


def _before_done(events: Sequence[Event]) -> int:
    """Give the place of the end mark, or the end where the server sends none."""
    marks = (place for place, event in enumerate(events) if (event.data or b"").startswith(DONE))
    return next(marks, len(events))


def _marked(event: Event, *, final: bool) -> Event:
    """Give the event with the right mark; stored events are shared, so never change one."""
    return event if event.final is final else replace(event, final=final)
