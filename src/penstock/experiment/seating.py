"""Seating: puts an exchange into its arms, and under their settings."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from penstock.exchange import Exchange
from penstock.experiment.assign import Assigner
from penstock.experiment.mixed import Mixed
from penstock.experiment.policy import Experiment, ExperimentPolicy
from penstock.experiment.tally import Cell
from penstock.experiment.verdicts import Verdict
from penstock.policy.base import PolicySet

HEADER: Final = "x-dac-experiment"


@dataclass(frozen=True, slots=True)
class Seat:
    """An arm that an exchange is in, and the bucket it counts in; None where it does not count."""

    cell: Cell
    bucket: int | None


class Seating:
    """Knows the settings of every combination of arms, of the live policies and of those just before."""

    def __init__(self, assigner: Assigner) -> None:
        self._assigner = assigner
        self._mixed: deque[Mixed] = deque(maxlen=3)

    def accept(self, policies: PolicySet) -> None:
        """Make the policies of every arm. Raises StartError."""
        self._mixed.append(Mixed(policies))

    def seat(self, exchange: Exchange, verdicts: Mapping[str, Verdict]) -> Sequence[Seat]:
        """Mark the exchange with its arms, tell the client, and put it under their settings."""
        base, policy = exchange.policies, exchange.policies[ExperimentPolicy]
        counts = exchange.tenant not in policy.exclude_tenants
        seats = [
            seat
            for name, experiment in policy.experiments.items()
            if experiment.concerns(exchange.tenant)
            and (seat := self._seat(exchange, name, experiment, verdicts.get(name), counts))
        ]
        if seats:
            arms = {seat.cell.experiment: seat.cell.arm for seat in seats}
            exchange.arms.update(arms)
            exchange.policies = self._mix(base).of(tuple(sorted(arms.items())))
            exchange.answer_headers[HEADER] = told(seats)
        return seats

    def _seat(
        self, exchange: Exchange, name: str, experiment: Experiment, verdict: Verdict | None, counts: bool
    ) -> Seat | None:
        if verdict is not None:
            arm = verdict.arm if verdict.arm in experiment.arms else experiment.control
            return Seat(Cell.of(name, experiment, arm), None)
        unit = self._assigner.unit(exchange, experiment.unit)
        if unit is None:
            return None
        place = self._assigner.place(name, experiment, unit)
        return Seat(Cell.of(name, experiment, place.arm), place.bucket if counts else None)

    def _mix(self, policies: PolicySet) -> Mixed:
        """Give the arms of a set; an exchange may still have the one before the live one."""
        for mixed in self._mixed:
            if mixed.base is policies:
                return mixed
        self._mixed.append(Mixed(policies))
        return self._mixed[-1]


def told(seats: Sequence[Seat]) -> str:
    """Name the arms as the client is told of them."""
    return ",".join(f"{seat.cell.experiment}={seat.cell.arm}" for seat in seats)
