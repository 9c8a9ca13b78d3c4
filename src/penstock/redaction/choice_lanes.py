"""Restoring the chunks of chat and completion streams."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from penstock.openai import sse
from penstock.openai.request import Endpoint, Json
from penstock.openai.sse import Event
from penstock.redaction.around import FIXED
from penstock.redaction.lanes import Key, Lanes, pointer_to, rewritten
from penstock.redaction.restore import Restorer

_NOT_REPEATED: Final = frozenset({"choices", "usage", "obfuscation"})
_NAMES: Final = frozenset({"content", "role", "tool_calls", "function", "arguments", "index", "id", "type"})
_REASONS: Final = (None, "stop", "length", "tool_calls")
_USUAL_FIELDS: Final = 3  # index, the text, finish_reason
# Parts of a delta that come whole, not piece by piece.
_WHOLE: Final = frozenset({"annotations", "images", "citations"})


class ChoiceLanes:
    """One lane for each text of each choice: `(choice, *path)`, a call's by its index."""

    def __init__(self, endpoint: Endpoint, lanes: Lanes, restorer: Restorer, *, json_text: bool) -> None:
        self._lanes = lanes
        self._restorer = restorer
        self._json_text = json_text and endpoint is Endpoint.CHAT
        self._part = "delta" if endpoint is Endpoint.CHAT else "text"
        self._told: Json = {}
        self._head: Json = self._told

    def event(self, event: Event, chunk: Json) -> Sequence[Event]:
        """Give what goes on in this chunk's place."""
        choices = chunk.get("choices")
        if not isinstance(choices, list) or not choices:
            new = self._restorer.value(chunk, "", "")
            return (event if new is chunk else rewritten(event, new),)
        head = {name: value for name, value in chunk.items() if name != "choices"}
        if head != self._told:  # nearly all chunks of an answer have the same
            self._told, self._head = head, self._restorer.value(head, "", "")
        before: list[Event] = []
        new = [self._choice(choice, place, before) for place, choice in enumerate(choices)]
        if self._head is self._told and all(one is other for one, other in zip(new, choices, strict=True)):
            return (*before, event)
        return (*before, rewritten(event, {**self._head, "choices": new}))

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
            return self._restorer.value(choice, "", "/choices")
        index = choice.get("index")
        index = index if isinstance(index, int) else place
        said = choice.get(self._part)
        told = said if said is None else self._value(said, (index, self._part))
        if choice.get("finish_reason"):
            told = self._ended(index, told, before)
        aside = _aside(choice, self._part)
        new = self._restorer.value(aside, "", f"/choices/{index}") if aside else aside
        tokens = choice.get("logprobs")
        spelled = tokens is None or self._restorer.around.spells(tokens, _spoken(told))
        if told is said and new is aside and spelled:
            return choice
        new = {**choice, **new}
        if told is not said:
            new[self._part] = told
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
        for told, item in value.items():
            name = told if told in _NAMES else self._restorer.around.key(told, pointer_to(key))
            if name in FIXED and isinstance(item, str):
                new[name] = self._restorer.around.fixed(name, item, pointer_to(key))
            elif name in _WHOLE:
                new[name] = self._restorer.value(item, name, pointer_to((*key, name)))
            else:
                new[name] = self._value(item, (*key, name))
            same = same and new[name] is item and name == told
        return value if same else new


def _aside(choice: Json, part: str) -> Json:
    """Give what a choice has beside its text; nothing where there is no more than usual."""
    usual = len(choice) == _USUAL_FIELDS and part in choice and isinstance(choice.get("index"), int)
    if usual and choice.get("finish_reason", part) in _REASONS:
        return {}
    return {name: item for name, item in choice.items() if name not in (part, "logprobs")}


def _spoken(told: Any) -> str:  # noqa: ANN401
    """Give the text of a chunk that log probabilities spell."""
    if isinstance(told, dict):
        return "".join(text for name in ("content", "refusal") if isinstance(text := told.get(name), str))
    return told if isinstance(told, str) else ""


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
