"""Restoring the event stream of the Responses API."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from penstock.openai import sse
from penstock.openai.request import Json
from penstock.openai.sse import Event
from penstock.redaction.lanes import Key, Lanes, rewritten
from penstock.redaction.restore import Restorer

_TERMINAL: Final = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")
_ENDS_PART: Final = ("response.content_part.done", "response.reasoning_summary_part.done")
_ENDS_ITEM: Final = "response.output_item.done"
# Deltas that hold no text.
_BINARY: Final = ("response.audio", "response.image_generation_call")
_PLACE: Final = ("output_index", "content_index", "summary_index")


class ResponseLanes:
    """One lane for each text: `(output_index, part, what it is)`.

    An event that is made here has the number of the one before which it goes: the numbers that the
    provider gave stay as they are.
    """

    def __init__(self, lanes: Lanes, restorer: Restorer, *, json_text: bool) -> None:
        self._lanes = lanes
        self._restorer = restorer
        self._json_text = json_text
        self._last: dict[Key, Json] = {}

    def event(self, event: Event, told: Json) -> Sequence[Event]:
        """Give what goes on in this event's place."""
        kind = told.get("type")
        if not isinstance(kind, str):
            kind = ""
        what, _, step = kind.rpartition(".")
        if step == "delta" and isinstance(told.get("delta"), str) and what not in _BINARY:
            return (self._delta(event, told, what),)
        before = [*self._before(told, kind, what, step)]
        new = self._restorer.value(told, "", "")
        return (*before, event if new is told else rewritten(event, new))

    def rest(self, begins: Key = (), number: Any = None) -> Iterator[Event]:  # noqa: ANN401
        """Give what the lanes hold, one delta for each text."""
        for key, text in self._lanes.flush(begins):
            told = {**self._restorer.value(self._last[key], "", ""), "delta": text}
            if number is not None and "sequence_number" in told:
                told["sequence_number"] = number
            if "logprobs" in told:
                told["logprobs"] = []
            told.pop("obfuscation", None)
            yield sse.encode(told, told["type"])

    def _delta(self, event: Event, told: Json, what: str) -> Event:
        key = (*_place(told), what)
        self._last[key] = {name: item for name, item in told.items() if name != "delta"}
        call = what.endswith("_arguments")
        escaped = call or (self._json_text and what == "response.output_text")
        said = told["delta"]
        out = self._lanes.feed(key, said, escaped=escaped, call=call)
        aside = {name: item for name, item in told.items() if name not in ("delta", "logprobs")}
        new = self._restorer.value(aside, "", "")
        spelled = self._restorer.around.spells(told.get("logprobs"), out)
        if out is said and new is aside and spelled:
            return event
        new = {**told, **new, "delta": out}
        if "logprobs" in new:  # its tokens spell what the model said, not what stands here
            new["logprobs"] = []
        return rewritten(event, new)

    def _before(self, told: Json, kind: str, what: str, step: str) -> Iterator[Event]:
        """Let out what the texts hold that this event ends."""
        number = told.get("sequence_number")
        place = _place(told)
        if kind in _TERMINAL:
            yield from self.rest((), number)
        elif kind == _ENDS_ITEM:
            yield from self.rest(place[:1], number)
        elif kind in _ENDS_PART:
            yield from self.rest(place, number)
        elif step == "done":
            yield from self.rest((*place, what), number)


def _place(told: Json) -> tuple[str | int, str]:
    """Give where a text stands: its item, and its part of it; a summary's parts are not the content's."""
    index = told.get("output_index")
    item = index if isinstance(index, int) else str(told.get("item_id"))
    part = "/".join(f"{name}{told[name]}" for name in _PLACE[1:] if name in told)
    return item, part
