"""Rated: the arms of an answer that somebody may rate later, and the ratings that come for them."""

from collections.abc import Iterable, Sequence

from penstock.clock import Clock
from penstock.exchange import Exchange
from penstock.experiment.assign import Assigner
from penstock.experiment.measure import cost_usd, failed_over
from penstock.experiment.policy import ExperimentPolicy, Metric
from penstock.experiment.tally import Cell, Tally
from penstock.openai.request import Request
from penstock.stores.keyring import Keyring
from penstock.stores.records import Records

Rated = tuple[str, str, str, int]
"""Experiment, digest, arm and bucket: plain values, that are kept until the rating comes."""


class Ratings:
    """Knows whose a request is, and counts what is said of its answer for the arms that it was in."""

    def __init__(self, records: Records, keyring: Keyring, clock: Clock) -> None:
        self._assigner = Assigner(keyring)
        self._tally = Tally(records, keyring, clock)

    def thread(self, exchange: Exchange, request: Request) -> bytes | None:
        """Give the hash of a request's thread; None where it does not say."""
        return self._assigner.unit(exchange, "thread", request)

    def known(self, exchange: Exchange, request: Request) -> bool:
        """Say whether somebody told whose request it is."""
        return self._assigner.known(exchange, request)

    def cost_usd(self, exchange: Exchange) -> float | None:
        """Give what all calls of an exchange cost; None where that is unknown."""
        return cost_usd(exchange)

    def arms(self, exchange: Exchange, request: Request) -> Sequence[Rated]:
        """Give the arms that count this exchange: what they don't count can't be rated for them either.

        `request` is the one that came, which other stages may have changed since.
        """
        policy = exchange.policies[ExperimentPolicy]
        if not exchange.attempts or failed_over(exchange) or exchange.tenant in policy.exclude_tenants:
            return ()
        found = []
        for name, arm in exchange.arms.items():
            its = policy.experiments.get(name)
            unit = self._assigner.unit(exchange, its.unit, request) if its else None
            if its is None or unit is None:
                continue
            place = self._assigner.place(name, its, unit)
            if place.arm == arm:  # else everyone was given this arm
                found.append((name, its.digest, arm, place.bucket))
        return found

    def rated(self, arms: Iterable[Rated], score: float) -> None:
        """Count a client's own score."""
        self._add("quality", arms, score, 1.0)

    def unhappy(self, arms: Iterable[Rated], weight: float) -> None:
        """Add a sign to a request that its arms have counted."""
        self._add("unhappy", arms, weight, 0.0)

    async def flush(self) -> None:
        """Write what was counted. Raises StoreUnavailable; nothing is lost by that."""
        await self._tally.flush()

    def _add(self, metric: Metric, arms: Iterable[Rated], value: float, n: float) -> None:
        for experiment, digest, arm, bucket in arms:
            self._tally.of(Cell(experiment, digest, arm)).add(metric, value, bucket, n)
