"""Simulated A/B tests: values drawn for units that differ among themselves, and looks in between."""

import math
import random
from collections.abc import Callable

from penstock.experiment.sequential import Difference, difference
from penstock.experiment.tally import Counts

Draw = Callable[[random.Random, float], float]


def shares(rate: float) -> Draw:
    """Draw 0 or 1; a unit's own inclination moves its rate."""
    return lambda rng, unit: float(rng.random() < min(1.0, max(0.0, rate + 0.1 * unit)))


def costs(rng: random.Random, unit: float) -> float:
    """Draw a cost: skewed, and typical of its unit."""
    return math.exp(rng.gauss(unit, 0.5))


def run(
    seed: int,
    control: Draw,
    treatment: Draw,
    *,
    observations: int,
    every: int,
    units: int | None = None,
    clustered: bool = True,
    min_sample: int = 200,
    alpha: float = 0.05,
) -> Difference | None:
    """Give the first look at which the arms differ for sure; None if no look finds them different.

    Without `units` each observation is a unit of its own.
    """
    rng = random.Random(seed)  # noqa: S311
    arms = (Counts(), Counts())
    inclinations = [[rng.gauss(0, 1) for _ in range(units or 0)] for _ in arms]
    buckets = [[rng.randrange(32) for _ in range(units or 0)] for _ in arms]
    for seen in range(1, observations + 1):
        for arm, draw in enumerate((control, treatment)):
            if units:
                who = rng.randrange(units)
                value, bucket = draw(rng, inclinations[arm][who]), buckets[arm][who]
            else:
                value, bucket = draw(rng, rng.gauss(0, 1)), rng.randrange(32)
            arms[arm].add("cost_usd", value, bucket)
        if seen % every == 0 and seen >= min_sample:
            first, second = (arm.sample("cost_usd") for arm in arms)
            found = difference(first, second, alpha=alpha, min_sample=min_sample, clustered=clustered)
            if found is not None and (found.low > 0 or found.high < 0):
                return found
    return None
