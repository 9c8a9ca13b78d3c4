"""Measure: what one exchange was, once it has ended, in the experiment's metrics."""

from dataclasses import dataclass

from penstock.errors import Refusal
from penstock.exchange import Exchange
from penstock.experiment.tally import Counts
from penstock.models.policy import ModelsPolicy
from penstock.openai.usage import Usage

_MICROS = 1_000_000
_OURS = frozenset({408, 409, 425, 429})  # of the 4xx, those that the client did not bring about


@dataclass(frozen=True, slots=True)
class Ended:
    """How an exchange ended. `status` is None where the client left before the end."""

    status: int | None
    latency_s: float

    @property
    def failed(self) -> bool:
        """Whether it counts as an error."""
        return self.status is not None and (self.status >= 500 or self.status in _OURS)

    @property
    def refused(self) -> bool:
        """Whether the client asked for what nobody could answer, in any arm."""
        return self.status is not None and 400 <= self.status < 500 and not self.failed


def status_of(failure: Refusal | None) -> int:
    """Give the status that a stream's end stands for."""
    return 200 if failure is None else max(500, failure.status)


def failed_over(exchange: Exchange) -> bool:
    """Whether an upstream call gave no answer and another was made. A second call that was wanted is none."""
    return exchange.attempts > max(1, len(exchange.calls))


def cost_usd(exchange: Exchange) -> float | None:
    """Give what all calls of an exchange cost; None where a price or a usage is unknown."""
    models = exchange.policies[ModelsPolicy]
    micros = 0
    for call in exchange.calls:
        model = models.find(call.model)
        if model is None or call.usage is None or call.usage == Usage():
            return None
        micros += model.cost_usd_micros(call.usage)
    return micros / _MICROS


def count(counts: Counts, exchange: Exchange, ended: Ended, bucket: int) -> None:
    """Count an exchange that has ended, or count that it is left out."""
    counts.requests += 1
    if ended.status is None or ended.refused or failed_over(exchange):
        counts.excluded += 1
        return
    if not exchange.attempts and not ended.failed:
        counts.hits += 1  # answered from what another request had asked for
        return
    counts.add("error", float(ended.failed), bucket)
    if ended.failed:
        return
    counts.add("latency_s", ended.latency_s, bucket)
    counts.add("unhappy", 0.0, bucket)
    if (cost := cost_usd(exchange)) is not None:
        counts.add("cost_usd", cost, bucket)
