"""Restoring the chunks of chat and completion streams."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from penstock.openai import sse
from penstock.openai.request import Endpoint, Json
from penstock.openai.sse import Event
from penstock.redaction.lanes import Key, Lanes, rewritten
from penstock.redaction.restore import FIXED

_NOT_REPEATED: Final = frozenset({"choices", "usage", "obfuscation"})


class ChoiceLanes:
    """One lane for each text of each choice: `(choice, *path)`, a call's by its index."""

    def __init__(self, endpoint: Endpoint, lanes: Lanes, *, json_text: bool) -> None:
        self._lanes = lanes
        self._json_text = json_text and endpoint is Endpoint.CHAT
        self._part = "delta" if endpoint is Endpoint.CHAT else "text"
        self._head: Json = {}

    def event(self, event: Event, chunk: Json) -> Sequence[Event]:
        """Give what goes on in this chunk's place."""
        choices = chunk.get("choices")
        if not isinstance(choices, list) or not choices:
            return (event,)
        self._head = chunk
        before: list[Event] = []
        new = [self._choice(choice, place, before) for place, choice in enumerate(choices)]
        if all(one is other for one, other in zip(new, choices, strict=True)):
            return (*before, event)
        return (*before, rewritten(event, {**chunk, "choices": new}))

    def rest(self) -> Iterator[Event]:
        """Give what the lanes hold, one chunk for each text."""
        for key, text in self._lanes.flush():
            yield self._chunk(key, text)

    def _chunk(self, key: Key, text: str) -> Event:
        told: Any = text
        for part in reversed(key[1:]):
            if isinstance(part, int):
                told = [{"index": part, **told} if isinstance(told, dict) else told]
            else:
                told = {part: told}
        head = {name: value for name, value in self._head.items() if name not in _NOT_REPEATED}
        return sse.encode({**head, "choices": [{"index": key[0], **told, "finish_reason": None}]})

    def _choice(self, choice: Any, place: int, before: list[Event]) -> Any:  # noqa: ANN401
        if not isinstance(choice, dict):
            return choice
        index = choice.get("index")
        index = index if isinstance(index, int) else place
        said = choice.get(self._part)
        told = said if said is None else self._value(said, (index, self._part))
        if choice.get("finish_reason"):
            told = self._ended(index, told, before)
        if told is said:
            return choice
        new = {**choice, self._part: told}
        if new.get("logprobs") is not None:  # its tokens spell what the model said, not what stands here
            new["logprobs"] = None
        return new

    def _ended(self, index: int, told: Any, before: list[Event]) -> Any:  # noqa: ANN401
        """Let out what the choice's lanes hold: at the end of the text in this chunk, or before the chunk."""
        for key, text in self._lanes.flush((index,)):
            longer = _longer(told, key[2:], text)
            if longer is None:
                before.append(self._chunk(key, text))
            else:
                told = longer
        return told

    def _value(self, value: Any, key: Key) -> Any:  # noqa: ANN401
        if isinstance(value, str):
            name = key[-1]
            call = name == "arguments"
            escaped = call or (self._json_text and key[1:] == ("delta", "content"))
            return self._lanes.feed(key, value, escaped=escaped, call=call)
        if isinstance(value, dict):
            return self._object(value, key)
        if isinstance(value, list):
            new = [self._value(item, (*key, _index(item, at))) for at, item in enumerate(value)]
            return value if all(one is other for one, other in zip(new, value, strict=True)) else new
        return value

    def _object(self, value: Json, key: Key) -> Json:
        new: Json = {}
        same = True
        for name, item in value.items():
            if name in FIXED and isinstance(item, str):
                new[name] = item
            else:
                new[name] = self._value(item, (*key, name))
                same = same and new[name] is item
        return value if same else new


def _longer(value: Any, path: Key, text: str) -> Any:  # noqa: ANN401
    """Give a value whose string at a path has more text; None where there is no such string."""
    if not path:
        return value + text if isinstance(value, str) else None
    if isinstance(value, list):
        for at, item in enumerate(value):
            if _index(item, at) == path[0]:
                longer = _longer(item, path[1:], text)
                return None if longer is None else [*value[:at], longer, *value[at + 1 :]]
    if isinstance(value, dict):
        longer = _longer(value.get(path[0]), path[1:], text)
        return None if longer is None else {**value, path[0]: longer}
    return None


def _index(item: Any, at: int) -> int:  # noqa: ANN401
    index = item.get("index") if isinstance(item, dict) else None
    return index if isinstance(index, int) else at
