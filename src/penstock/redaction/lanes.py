"""All the lanes of one stream."""

from collections.abc import Iterator
from typing import Any

from penstock.openai import sse, wire_json
from penstock.openai.sse import Event
from penstock.redaction.answer import AnswerRules
from penstock.redaction.lane import Lane, lane
from penstock.redaction.vault import Vault

Key = tuple[str | int, ...]


class Lanes:
    """Makes a lane for each text when its first piece comes."""

    def __init__(self, vault: Vault, rules: AnswerRules | None) -> None:
        self._vault = vault
        self._rules = rules
        self._lanes: dict[Key, Lane] = {}

    def feed(self, key: Key, text: str, *, escaped: bool, call: bool) -> str:
        """Take a piece of a text and give what may go on; the same object where that is all of it."""
        known = self._lanes.get(key)
        if known is None:
            where = pointer_to(key)
            known = self._lanes[key] = lane(self._vault, self._rules, where, escaped=escaped, call=call)
        out = known.feed(text)
        return text if out == text else out

    def flush(self, begins: Key = ()) -> Iterator[tuple[Key, str]]:
        """End the texts whose key begins so, and give what they held back."""
        for key in [key for key in self._lanes if key[: len(begins)] == begins]:
            if out := self._lanes.pop(key).flush():
                yield key, out


def pointer_to(key: Key) -> str:
    """Give the place of a text in words of a JSON pointer."""
    return "".join(f"/{part}" for part in key)


def rewritten(event: Event, payload: Any) -> Event:  # noqa: ANN401
    """Give an event with other data; its other lines stay where that is easily done."""
    data = wire_json.encode(payload)
    if event.data and event.raw.count(event.data) == 1:
        return Event(event.raw.replace(event.data, data), data, event.name, event.final, payload)
    return sse.encode(payload, event.name, final=event.final)
