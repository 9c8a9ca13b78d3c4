"""Lately: what was seen of late, in bounded memory: gains, by which a share is kept; threads, which stick."""

from bisect import bisect_left, insort
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Final

_GAINS: Final = 1_000
_GOLDEN: Final = 0.6180339887498949  # steps of this spread evenly over 0 to 1, however many there are
_THREADS: Final = 50_000


class Gains:
    """The latest expected gains of an alias, in their order.

    Equal gains are told apart by a lot that falls evenly, so that a share holds also where nothing is known.
    """

    def __init__(self) -> None:
        self._lot = 0.0
        self._latest: deque[float] = deque()
        self._sorted: list[float] = []

    def rank(self, gain: float) -> float:
        """Give the share of the latest requests that gained less than this one, and remember it."""
        below = bisect_left(self._sorted, gain)
        above = len(self._sorted) - bisect_left(self._sorted, gain + 1e-12)
        equal = len(self._sorted) - below - above
        self._lot = (self._lot + _GOLDEN) % 1
        share = (below + self._lot * (equal + 1)) / (len(self._sorted) + 1)
        self._latest.append(gain)
        insort(self._sorted, gain)
        if len(self._latest) > _GAINS:
            del self._sorted[bisect_left(self._sorted, self._latest.popleft())]
        return share

    def forget(self) -> None:
        """Forget them, but not which lot comes next: the share holds however often this is done."""
        self._latest.clear()
        self._sorted.clear()


@dataclass(frozen=True, slots=True)
class Stuck:
    """Who answered a thread, and until when it stays so."""

    model: str
    upstream: str | None
    until: float


class Threads:
    """Who answered which thread, by a hash of the thread's name."""

    def __init__(self) -> None:
        self._stuck: OrderedDict[bytes, Stuck] = OrderedDict()

    def get(self, thread: bytes, now: float) -> Stuck | None:
        """Give who answers this thread, if it was heard of lately."""
        stuck = self._stuck.get(thread)
        if stuck is None or stuck.until <= now:
            return None
        return stuck

    def keep(self, thread: bytes, stuck: Stuck) -> None:
        """Remember who answered."""
        self._stuck[thread] = stuck
        self._stuck.move_to_end(thread)
        if len(self._stuck) > _THREADS:
            self._stuck.popitem(last=False)
