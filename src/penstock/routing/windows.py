"""Decayed sliding windows over what was measured: quantiles to report, and a mean to act on.

Nothing here reads a clock: every moment is given, in seconds that never step back.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

HALVINGS: Final = 4  # within one window: what is nearly too old weighs a sixteenth
_KEPT: Final = 512  # samples; beyond it the oldest go, so a busy window spans less than its policy says
_WEIGHT: Final = 64.0  # a mean follows within about this many samples, however many a second there are


@dataclass(frozen=True, slots=True)
class Quantiles:
    """What half, 95 and 99 of 100 answers took at most, in seconds, over `count` of them."""

    p50_s: float
    p95_s: float
    p99_s: float
    count: int


class Window:
    """The last samples, the newer the weightier."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=_KEPT)

    def add(self, at: float, seconds: float) -> None:
        """Take a sample."""
        self._samples.append((at, seconds))

    def begun_since(self, at: float) -> int:
        """Count what began at this moment or later and has ended."""
        return sum(1 for ended, seconds in self._samples if ended - seconds >= at)

    def quantiles(self, now: float, span_s: float) -> Quantiles | None:
        """Give the weighted quantiles over the span; None without a sample in it."""
        live = sorted(
            (seconds, left(now - at, span_s)) for at, seconds in self._samples if now - at <= span_s
        )
        if not live:
            return None
        p50, p95, p99 = _at_shares(live, (0.5, 0.95, 0.99))
        return Quantiles(p50, p95, p99, len(live))


class Mean:
    """A mean of what came lately, kept in three numbers.

    It decays with time and with every sample, so that it turns as fast on a busy route as on a quiet one.
    """

    def __init__(self, most: float = _WEIGHT) -> None:
        self._most = most
        self._weight = 0.0
        self._last = 0.0
        self.value = 0.0

    def add(self, at: float, value: float, span_s: float) -> None:
        """Take a sample."""
        kept = min(self.weight(at, span_s), self._most - 1)
        self._weight, self._last = kept + 1, at
        self.value += (value - self.value) / self._weight

    def weight(self, now: float, span_s: float) -> float:
        """Say how many samples stand behind the value by now: none when the last is older than the span."""
        age_s = now - self._last
        return self._weight * left(age_s, span_s) if age_s <= span_s else 0.0

    def forget(self) -> None:
        """Begin anew."""
        self._weight = 0.0


def left(age_s: float, span_s: float) -> float:
    """Give what is left of a weight of 1 at this age, in a window of this span."""
    return float(0.5 ** (max(0.0, age_s) * HALVINGS / span_s))


def _at_shares(ordered: list[tuple[float, float]], shares: tuple[float, ...]) -> list[float]:
    """Give the smallest value with at least each share of the weight at or below it; shares ascend."""
    total = sum(weight for _, weight in ordered)
    found: list[float] = []
    below = 0.0
    for value, weight in ordered:
        below += weight
        while len(found) < len(shares) and below >= shares[len(found)] * total * (1 - 1e-12):
            found.append(value)
    return found
