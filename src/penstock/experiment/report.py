"""Report: how the arms of an experiment do, compared with its control, and whether one must be stopped."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from penstock.experiment.policy import HIGHER_IS_BETTER, Experiment, Metric
from penstock.experiment.sequential import Difference, Sample, difference
from penstock.experiment.tally import Cell, Counts, metrics_of
from penstock.experiment.verdicts import Verdict

Finding = Literal["better", "worse", "undecided", "too few"]
_NONE = Counts()


@dataclass(frozen=True, slots=True)
class Compared:
    """An arm beside the control in one metric. `limit` is the guardrail's, None for the deciding metric."""

    arm: str
    metric: Metric
    control: Sample
    sample: Sample
    difference: Difference | None
    limit: float | None = None

    @property
    def finding(self) -> Finding:
        """Say what is certain: for a guardrail, `worse` means by more than its limit."""
        if self.difference is None:
            return "too few"
        low, high = self._worse()
        if low > (self.limit or 0.0):
            return "worse"
        return "better" if high < 0 else "undecided"

    def told(self) -> dict[str, Any]:
        """Give it as JSON has it."""
        interval = self.difference and [self.difference.low, self.difference.high]
        return {
            "arm": self.arm,
            "metric": self.metric,
            "control_mean": self.control.mean,
            "arm_mean": self.sample.mean,
            "difference": self.difference and self.difference.value,
            "interval": interval,
            "guardrail": self.limit,
            "finding": self.finding,
        }

    def __str__(self) -> str:
        if self.difference is None:
            return f"{self.arm}: {self.metric} has too few observations"
        return (
            f"{self.arm}: {self.metric} {self.sample.mean:.6g} beside {self.control.mean:.6g}, "
            f"a difference of {self.difference.value:+.6g} "
            f"({self.difference.low:+.6g} to {self.difference.high:+.6g}) "
            f"after {self.sample.n:.0f} and {self.control.n:.0f}"
        )

    def _worse(self) -> tuple[float, float]:
        """Give the interval of how much worse the arm is; below 0 it is better."""
        assert self.difference is not None  # noqa: S101 - asked before
        low, high = self.difference.low, self.difference.high
        return (-high, -low) if self.metric in HIGHER_IS_BETTER else (low, high)


@dataclass(frozen=True, slots=True)
class Report:
    """An experiment as it stands."""

    name: str
    experiment: Experiment
    verdict: Verdict | None
    counts: Mapping[str, Counts]
    deciding: Sequence[Compared]
    guardrails: Sequence[Compared]

    @property
    def broken(self) -> Sequence[Compared]:
        """The guardrails that an arm has broken."""
        return [compared for compared in self.guardrails if compared.finding == "worse"]

    @property
    def state(self) -> str:
        """Say in a word where it is."""
        return self.verdict.state if self.verdict else "running"

    def told(self) -> dict[str, Any]:
        """Give it as JSON has it."""
        verdict = self.verdict
        return {
            "experiment": self.name,
            "state": self.state,
            "everyone_gets": verdict and verdict.arm,
            "by": verdict and verdict.by,
            "at": verdict and verdict.at,
            "evidence": verdict and verdict.evidence,
            "metric": self.experiment.metric,
            "control": self.experiment.control,
            "arms": {arm: _told(counts) for arm, counts in self.counts.items()},
            "deciding": [compared.told() for compared in self.deciding],
            "guardrails": [compared.told() for compared in self.guardrails],
        }


def report(
    name: str, experiment: Experiment, totals: Mapping[Cell, Counts], verdict: Verdict | None = None
) -> Report:
    """Compare the arms of an experiment.

    Where there are several to compare, each gets its part of alpha; the guardrails share one of their own.
    They look at requests alone: with few units nothing can be said about units, and a needless stop is cheap.
    """
    counts = {arm: totals.get(Cell.of(name, experiment, arm), _NONE) for arm in experiment.arms}
    arms = len(experiment.arms) - 1
    deciding = _compare(experiment, counts, experiment.metric, experiment.alpha / arms, clustered=True)
    guardrails = [
        compared
        for metric, guardrail in experiment.guardrails.items()
        for compared in _compare(
            experiment,
            counts,
            metric,
            experiment.alpha / (arms * len(experiment.guardrails)),
            clustered=False,
            limit=guardrail.worse_by,
        )
    ]
    return Report(name, experiment, verdict, counts, list(deciding), guardrails)


def _compare(
    experiment: Experiment,
    counts: Mapping[str, Counts],
    metric: Metric,
    alpha: float,
    *,
    clustered: bool,
    limit: float | None = None,
) -> Iterator[Compared]:
    control = counts[experiment.control].sample(metric)
    for arm in list(experiment.arms)[1:]:
        sample = counts[arm].sample(metric)
        found = difference(
            control, sample, alpha=alpha, min_sample=experiment.min_sample, clustered=clustered
        )
        yield Compared(arm, metric, control, sample, found, limit)


def _told(counts: Counts) -> dict[str, Any]:
    metrics = {
        metric: {"n": sample.n, "mean": sample.mean, "buckets": sample.used}
        for metric, sample in metrics_of(counts)
    }
    seen = {"requests": counts.requests, "cache_hits": counts.hits, "excluded": counts.excluded}
    return {**seen, "metrics": metrics}
