"""Lately: what was seen of late, in bounded memory: gains, by which a share is kept; threads, which stick."""

from bisect import bisect_left, bisect_right
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import Final

from penstock.routing.weights import Weights

_GAINS: Final = 1_000
_GOLDEN: Final = 0.6180339887498949  # steps of this spread evenly over 0 to 1, however many there are
_THREADS: Final = 50_000


class Gains:
    """What the latest requests to an alias would gain, in order, and how much each of them counts.

    Equal gains are told apart by a lot that falls evenly, so that a share holds also where nothing is known.
    """

    def __init__(self) -> None:
        self._lot = 0.0
        self._latest: deque[tuple[float, float]] = deque()
        self._gains: list[float] = []  # in order, and beside it
        self._weights: list[float] = []

    def rank(self, gain: float, weight: float = 1.0) -> float:
        """Give the share of the latest requests, by weight, that gained less, and remember this one."""
        first, last = bisect_left(self._gains, gain), bisect_right(self._gains, gain)
        below, equal = sum(self._weights[:first]), sum(self._weights[first:last])
        total = below + equal + sum(self._weights[last:])
        self._lot = (self._lot + _GOLDEN) % 1
        share = (below + self._lot * (equal + weight)) / (total + weight)
        self._remember(gain, weight, last)
        return share

    def _remember(self, gain: float, weight: float, place: int) -> None:
        self._latest.append((gain, weight))
        self._gains.insert(place, gain)
        self._weights.insert(place, weight)
        if len(self._latest) > _GAINS:
            gain, weight = self._latest.popleft()
            place = self._weights.index(weight, bisect_left(self._gains, gain))
            del self._gains[place], self._weights[place]

    def forget(self) -> None:
        """Forget them, but not which lot comes next: the share holds however often this is done."""
        self._latest.clear()
        self._gains.clear()
        self._weights.clear()


class Shares:
    """The latest gains by tenant and alias, by which the share of a bill is kept."""

    def __init__(self) -> None:
        self._gains: dict[tuple[str, str], tuple[Weights, Gains]] = {}

    def rank(self, place: tuple[str, str], weights: Weights, gain: float, cost: float) -> float:
        """Give the share of the latest bill that gained less by these weights, and remember this one."""
        before, gains = self._gains.get(place, (weights, Gains()))
        if before is not weights and before.digest() != weights.digest():
            gains.forget()  # what another scorer said is on another scale
        self._gains[place] = weights, gains
        return gains.rank(gain, cost)


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
