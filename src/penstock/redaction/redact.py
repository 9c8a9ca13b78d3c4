"""A request's body with every value taken out that the policy wants out, and a record of each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from penstock.openai.request import Endpoint, Json
from penstock.redaction.actions import (
    Action,
    Actions,
    Blocked,
    FileRule,
    Redaction,
    action_for,
    record,
    replacement,
)
from penstock.redaction.fields import File, Node, Place, changed, file_at, places
from penstock.redaction.found import Find
from penstock.redaction.text import Edit, Plain, Text, reading
from penstock.redaction.vault import Vault
from penstock.redaction.zones import Kind

_FIXED = (Kind.STRUCTURAL, Kind.KEY, Kind.NUMBER, Kind.SEALED)


@dataclass(slots=True)
class _Draft:
    """A string that may be changed, and what is to change in it."""

    place: Place
    text: Text
    file: File | None = None
    edits: list[Edit] = field(default_factory=list)

    def written(self) -> str:
        put = self.text.written(self.edits)
        return self.file.holding(put) if self.file else put


def redact(
    endpoint: Endpoint,
    body: Json,
    find: Find,
    vault: Vault,
    actions: Actions,
    *,
    files: FileRule = FileRule.ALLOW,
) -> tuple[Json, list[Redaction]]:
    """Give the body as it may go upstream, and what was found in it; the body itself is not changed.

    A finding where nothing can be replaced is recorded as `structural` and left for the policy to judge.
    Raises Blocked, and Indistinct where two values can't be told apart.
    """
    work = _Work(find, vault, actions, files)
    every = list(places(endpoint, body))
    for place in every:
        if place.kind is Kind.KEY:  # first: a telling key must not stand in a pointer
            work.read_key(place)
    for place in every:
        work.read(place)
    work.escape_look_alikes()
    changes = {draft.place.node: draft.written() for draft in work.drafts if draft.edits}
    return (changed(changes) if changes else body), work.redactions


class _Work:
    """One request on its way through."""

    def __init__(self, find: Find, vault: Vault, actions: Actions, files: FileRule) -> None:
        self._find = find
        self._vault = vault
        self._actions: Mapping[str, Action] = actions
        self._files = files
        self._telling: dict[tuple[int, str | int], str] = {}
        self.drafts: list[_Draft] = []
        self.redactions: list[Redaction] = []

    def read_key(self, place: Place) -> None:
        found = self._find(place.text, "")
        if found:
            place.node.shown = f"[{found[0].type}]"
            self._telling[id(place.node.parent), place.node.key] = place.node.shown

    def read(self, place: Place) -> None:
        """Read one place, and plan what changes in it."""
        self._hide_telling(place.node)
        if place.kind is Kind.SEALED:
            return
        if place.kind is Kind.FILE:
            self._read_file(place)
        elif place.kind in _FIXED:
            self._read_fixed(place)
        elif place.kind is Kind.NAME:
            self._read_name(place)
        else:
            draft = _Draft(place, reading(place.text, json_text=place.kind is Kind.JSON))
            self._read_text(draft)

    def escape_look_alikes(self) -> None:
        """Put placeholders for what the user wrote himself and the answer would be taken to mean."""
        known = -1
        while known != self._vault.size:
            known = self._vault.size
            for draft in self.drafts:
                if self._vault.may_hit(draft.text.read):
                    self._escape_in(draft)

    def _escape_in(self, draft: _Draft) -> None:
        if draft.place.kind is Kind.NAME:
            self._escape_name(draft)
            return
        found: list[Edit] = []
        for start, end in _gaps(draft):
            gap = draft.text.read[start:end]
            for hit in self._vault.hits(gap):
                pieces = draft.text.pieces(start + hit.start, start + hit.end)
                for first, last in pieces:
                    put = self._vault.escaped(draft.text.read[first:last])
                    found.append(Edit(first, last, put))
        if found:
            draft.edits = sorted([*draft.edits, *found])

    def _escape_name(self, draft: _Draft) -> None:
        name = draft.text.read
        if not draft.edits and self._vault.hits(name):
            draft.edits = [Edit(0, len(name), self._vault.escaped(name)[1:-1])]

    def _read_text(self, draft: _Draft) -> None:
        read, at = draft.text.read, 0
        for item in self._find(read, draft.place.label):
            start, end = max(item.start, at), item.end
            if start >= end:
                continue
            at = end
            action = self._allowed(item.type, draft.place.node)
            pieces = () if action is Action.ALLOW else draft.text.pieces(start, end)
            if not pieces:
                kept = action if action is Action.ALLOW else Action.STRUCTURAL
                where = (draft.place.node.pointer(), *draft.text.origin(start, end))
                self.redactions.append(record(self._vault, item, read[start:end], where, kept))
            for first, last in pieces:
                value = read[first:last]
                wanted = action
                if action is Action.SYNTHETIC and not _stands_alone(read, first, last):
                    wanted = Action.PLACEHOLDER
                taken, put = replacement(self._vault, wanted, item.type, value)
                draft.edits.append(Edit(first, last, put))
                where = (draft.place.node.pointer(), *draft.text.origin(first, last))
                self.redactions.append(record(self._vault, item, value, where, taken, put))
        self.drafts.append(draft)

    def _read_fixed(self, place: Place) -> None:
        for item in self._find(place.text, place.label):
            action = self._allowed(item.type, place.node)
            kept = action if action is Action.ALLOW else Action.STRUCTURAL
            where = (place.node.pointer(), item.start, item.end)
            self.redactions.append(record(self._vault, item, place.text[item.start : item.end], where, kept))

    def _read_name(self, place: Place) -> None:
        """Replace a participant's name whole, without the brackets that some servers refuse."""
        draft = _Draft(place, Plain(place.text))
        for item in self._find(place.text, "name"):
            action = self._allowed(item.type, place.node)
            put = ""
            if action is not Action.ALLOW:
                action = Action.PLACEHOLDER
                put = self._vault.placeholder(item.type, place.text)[1:-1]
                draft.edits = [Edit(0, len(place.text), put)]
            where = (place.node.pointer(), 0, len(place.text))
            self.redactions.append(record(self._vault, item, place.text, where, action, put))
            if put:
                break
        self.drafts.append(draft)

    def _read_file(self, place: Place) -> None:
        if self._files is FileRule.ALLOW:
            return
        file = file_at(place)
        text = file.text() if self._files is FileRule.SCAN and file.is_text else None
        if text is None:
            raise Blocked("FILE", place.node.pointer())
        self._read_text(_Draft(place, reading(text, json_text=True), file))

    def _allowed(self, type: str, node: Node) -> Action:
        action = action_for(self._actions, type)
        if action is Action.BLOCK:
            raise Blocked(type, node.pointer())
        return action

    def _hide_telling(self, node: Node) -> None:
        """Hide keys that are values themselves wherever they stand on the way to this place."""
        here: Node | None = node if self._telling else None
        while here is not None and here.parent is not None:
            here.shown = self._telling.get((id(here.parent), here.key))
            here = here.parent


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether no word goes on beyond a value: a stand-in, which has no brackets, would not be known again."""
    around = text[start - 1 : start] + text[end : end + 1]
    return not any(char.isalnum() for char in around)


def _gaps(draft: _Draft) -> Iterator[tuple[int, int]]:
    """Give the parts of a text that no edit touches."""
    at = 0
    for edit in draft.edits:
        yield at, edit.start
        at = edit.end
    yield at, len(draft.text.read)
