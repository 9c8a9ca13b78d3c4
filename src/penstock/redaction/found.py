"""What this room asks of a detector, and a memory for what it said, so that a history is read once."""

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from threading import Lock
from typing import Any, Final, Protocol

from penstock.redaction.placeholder import Mac, as_bytes


class Found(Protocol):
    """One value in a text: character offsets, end exclusive, and its type.

    A finding may also have `detector`, `version` and `checked` (whether check digits passed).
    """

    @property
    def start(self) -> int: ...  # noqa: D102

    @property
    def end(self) -> int: ...  # noqa: D102

    @property
    def type(self) -> str: ...  # noqa: D102


class Find(Protocol):
    """A detector. `label` is the name of the field that the text stands in, or nothing."""

    def __call__(self, text: str, label: str = "", /) -> Sequence[Found]: ...  # noqa: D102


_ENTRY_BYTES: Final = 200  # a digest, its entry in the map, an empty tuple
_FOUND_BYTES: Final = 160


class Remembered:
    """A detector that remembers: by a keyed digest of the text, in memory, the oldest forgotten first.

    It keeps places and types, never a text; what one tenant sent makes nothing faster for another, who
    could else tell that it was sent. Make a new one whenever the detector's policy changes.
    """

    def __init__(self, find: Find, mac: Mac, *, limit_bytes: int) -> None:
        self._find = find
        self._mac = mac
        self._limit = limit_bytes
        self._kept: OrderedDict[bytes, Sequence[Found]] = OrderedDict()
        self._lock = Lock()  # large bodies are read in threads
        self.size_bytes = 0

    def of(self, tenant: str) -> Find:
        """Give the detector as one tenant uses it."""
        return partial(self._of, tenant.encode("utf-8", "surrogatepass"))

    def __call__(self, text: str, label: str = "", /) -> Sequence[Found]:
        """Give the findings, from memory where the text was read before."""
        return self._of(b"", text, label)

    def _of(self, tenant: bytes, text: str, label: str = "", /) -> Sequence[Found]:
        digest = self._mac(b"seen", tenant, label.encode("utf-8", "surrogatepass"), as_bytes(text))
        with self._lock:
            known = self._kept.get(digest)
            if known is not None:
                self._kept.move_to_end(digest)
                return known
        found = tuple(self._find(text, label))
        with self._lock:
            self._keep(digest, found)
        return found

    def _keep(self, digest: bytes, found: Sequence[Found]) -> None:
        if digest in self._kept:  # another thread was quicker
            return
        self._kept[digest] = found
        self.size_bytes += _weight(found)
        while self.size_bytes > self._limit and self._kept:
            _, oldest = self._kept.popitem(last=False)
            self.size_bytes -= _weight(oldest)


def _weight(found: Sequence[Any]) -> int:
    return _ENTRY_BYTES + _FOUND_BYTES * len(found)
