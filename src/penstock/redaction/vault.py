"""The vault of one exchange: which value stands behind which placeholder."""

from collections import Counter
from typing import Final, NoReturn

from penstock.errors import PenstockError
from penstock.redaction import stand_in as stand_ins
from penstock.redaction.exact import LONGEST, ExactTable
from penstock.redaction.placeholder import LENGTHS, LITERAL, Mac, as_bytes, digits, label, normalised
from penstock.redaction.spelling import Hit, Table

_ATTEMPTS: Final = 64
_FEW: Final = 40


class Indistinct(PenstockError):
    """No placeholder could be made that no other value has; the request must be refused."""


class Vault:
    """Makes placeholders and knows their values. It lives as long as its exchange, and shows nothing.

    `mac` is keyed with the tenant's or the thread's key: with the same key the same value of the same
    type has the same placeholder, in every request. `counts` says how many values of each type there are.
    """

    __slots__ = ("_audit", "_exact", "_given", "_mac", "_table", "_values", "counts")

    def __init__(self, mac: Mac) -> None:
        self._mac = mac
        self._table = Table()
        self._exact = ExactTable()
        self._given: dict[tuple[str, str, bool], str] = {}
        self._values: set[str] = set()
        self._audit: dict[tuple[str, str], str] = {}
        self.counts: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<Vault of {sum(self.counts.values())} values>"

    @property
    def size(self) -> int:
        """How many placeholders and stand-ins it gave out, escaped texts among them."""
        return len(self._given)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a vault is never written anywhere")

    def knows(self, value: str) -> bool:
        """Whether this is one of the client's own values."""
        return value in self._values

    def placeholder(self, type: str, value: str) -> str:
        """Give the value's placeholder, with its brackets. Raises Indistinct."""
        key = (type, value, False)
        if key not in self._given:
            self._given[key] = self._new_placeholder(type, value)
            self._note(type, value)
        return self._given[key]

    def escaped(self, text: str) -> str:
        """Give the placeholder of a text of the user's own that looks like one. Raises Indistinct."""
        return self.placeholder(LITERAL, text)

    def stand_in(self, type: str, value: str) -> str | None:
        """Give a stand-in of the value's own form; None where its type has none, or none is left."""
        key = (type, value, True)
        if key not in self._given:
            made = self._new_stand_in(type, value)
            if made is None:
                return None
            self._given[key] = made
            self._note(type, value)
        return self._given[key]

    def audit_mac(self, type: str, value: str) -> str:
        """Give 32 hex digits by which an audit knows the same value again, however it is spelled."""
        known = self._audit.get((type, value))
        if known is None:
            mac = self._mac(b"audit", type.encode(), as_bytes(normalised(type, value)))
            known = self._audit[type, value] = mac[:16].hex()
        return known

    def may_hit(self, text: str) -> bool:
        """Whether a text could hold a hit; quick, and never wrongly False."""
        if self._exact:
            return True
        known = self._table.known
        return len(known) > _FEW or any(number in text for number in known)

    def hits(self, text: str, start: int = 0, *, escaped: bool = False) -> list[Hit]:
        """Give every place of a text that stands for a value, in order, none before `start`."""
        if not self._exact:
            return list(self._table.hits(text, start, escaped=escaped))
        both = [
            *self._table.hits(text, start, escaped=escaped),
            *self._exact.hits(text, start, escaped=escaped),
        ]
        return without_overlaps(both)

    def open_tail(self, text: str, start: int, *, escaped: bool = False) -> int:
        """Give where the tail begins that could still become a hit; the text's end if there is none."""
        place = self._table.open_tail(text, start, escaped=escaped)
        return min(place, self._exact.open_tail(text, start, escaped=escaped)) if self._exact else place

    def _new_placeholder(self, type: str, value: str) -> str:
        named, every = label(type), digits(self._mac, type, value)
        for length in LENGTHS:
            if every[:length] not in self._table.known:
                self._table.add(named, every[:length], value)
                return f"[{named}_{every[:length]}]"
        raise Indistinct("two values have the same MAC")

    def _new_stand_in(self, type: str, value: str) -> str | None:
        for attempt in range(_ATTEMPTS):
            mac = self._mac(b"stand-in", type.encode(), as_bytes(value), bytes([attempt]))
            made = stand_ins.stand_in(type, value, int.from_bytes(mac[:16]))
            if made is None or len(made) > LONGEST or not made.isascii():
                return None
            if made not in self._exact and made != value:
                self._exact.add(made, value)
                return made
        return None

    def _note(self, type: str, value: str) -> None:
        self._values.add(value)
        if type != LITERAL:
            self.counts[type] += 1


def without_overlaps(hits: list[Hit]) -> list[Hit]:
    """Put hits in order and keep the first, then longest, of those that overlap."""
    kept: list[Hit] = []
    for hit in sorted(hits, key=lambda hit: (hit.start, -hit.end)):
        if not kept or hit.start >= kept[-1].end:
            kept.append(hit)
    return kept
