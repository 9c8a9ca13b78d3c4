"""Statistics that stay valid however often somebody looks: a confidence sequence for a difference of means.

The interval around an observed difference D of two means, with variance V = s1²/n1 + s2²/n2, is

    D ± sqrt( 2 V (1 + r t) / (r t) · log( sqrt(1 + r t) / alpha ) ),   t = n1 n2 / (n1 + n2),

the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central
limit theory and asymptotic confidence sequences" (Annals of Statistics 52, 2024, Theorem 2.2), which is the
mixture sequential probability ratio test with a normal mixture (Robbins 1970; Johari, Koomen, Pekelis and
Walsh, "Always valid inference", Operations Research 70, 2022) turned into an interval. It holds for all looks
at once: the chance that a true difference of nothing is ever left out is at most alpha. "Asymptotic" means
that means must already be about normal at the first look, which `min_sample` is for.

Requests of the same unit are not independent, so V is the larger of two: the one over requests, and the one
between 32 buckets into which units are hashed. A unit's requests all fall into one bucket and buckets are
independent, so the second holds whatever the units do; it says nothing where only a few buckets have any.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

FEWEST_BUCKETS: Final = 16
"""Arms with fewer buckets in use have too few units for a conclusion about units."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen of a metric in one arm: how many, their sum and sum of squares.

    `buckets` are pairs of how many and their sum; `shares` says that each value is 0 or 1.
    """

    n: float = 0.0
    total: float = 0.0
    squares: float = 0.0
    buckets: Sequence[tuple[float, float]] = ()
    shares: bool = False

    @property
    def mean(self) -> float:
        """The mean; 0 where nothing was seen."""
        return self.total / self.n if self.n else 0.0

    @property
    def variance(self) -> float:
        """The variance of one value."""
        if self.shares:  # (k + 1)/(n + 2): no failure among a few does not mean that there are none
            guess = (self.total + 1) / (self.n + 2)
            return guess * (1 - guess)
        if self.n < 2:
            return math.inf
        return max(0.0, (self.squares - self.total * self.mean) / (self.n - 1))

    @property
    def used(self) -> int:
        """How many buckets have anything in them."""
        return sum(1 for n, _ in self.buckets if n)

    @property
    def mean_variance(self) -> float:
        """The variance of the mean if every request were independent."""
        return self.variance / self.n if self.n else math.inf

    @property
    def clustered_variance(self) -> float:
        """The variance of the mean as the buckets show it (a ratio of sums, linearised)."""
        count = len(self.buckets)
        if self.used < 2:
            return math.inf
        mean = self.mean
        spread = sum((total - mean * n) ** 2 for n, total in self.buckets)
        return spread * count / (count - 1) / self.n**2


@dataclass(frozen=True, slots=True)
class Difference:
    """How much higher the second mean is than the first, and the interval that holds at every look."""

    value: float
    low: float
    high: float


def difference(
    first: Sample, second: Sample, *, alpha: float, min_sample: int, clustered: bool
) -> Difference | None:
    """Compare two arms; None while either has seen too little.

    `clustered` asks for an interval that holds for units, not only for requests. The interval is narrowest
    where both arms have twice `min_sample`.
    """
    if min(first.n, second.n) < min_sample:
        return None
    if clustered and min(first.used, second.used) < FEWEST_BUCKETS:
        return None
    variance = first.mean_variance + second.mean_variance
    if clustered:
        variance = max(variance, first.clustered_variance + second.clustered_variance)
    value = second.mean - first.mean
    time = first.n * second.n / (first.n + second.n)
    radius = _radius(variance, time * _rate(alpha, min_sample), alpha)
    return Difference(value, value - radius, value + radius)


def _rate(alpha: float, best_at: float) -> float:
    """Give r such that the interval is narrowest at t = best_at (Waudby-Smith et al., appendix B.2)."""
    doubled = -2 * math.log(alpha)
    return (doubled + math.log(doubled + 1)) / best_at


def _radius(variance: float, mixed: float, alpha: float) -> float:
    return math.sqrt(2 * variance * (1 + mixed) / mixed * math.log(math.sqrt(1 + mixed) / alpha))
