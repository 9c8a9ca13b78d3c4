"""Desk: experiments as an operator sees them and what may be done with them, by any of several ways."""

import logging
from collections.abc import Mapping, Sequence
from typing import Literal

from penstock.clock import SYSTEM, Clock
from penstock.errors import Refusal
from penstock.experiment.policy import Experiment
from penstock.experiment.report import Report, report
from penstock.experiment.totals import Totals
from penstock.experiment.verdicts import By, Verdict, Verdicts
from penstock.policy.problems import closest, quoted
from penstock.stores.keyring import Keyring
from penstock.stores.records import Records

log = logging.getLogger("penstock.experiment")


class Desk:
    """The experiments of the policies, with what all gateways of this store have said.

    `who` stands beside every verdict. Raises Refusal (404) for what there is not; every method that awaits
    raises StoreUnavailable.
    """

    def __init__(self, records: Records, keyring: Keyring, who: By, clock: Clock = SYSTEM) -> None:
        self._verdicts = Verdicts(records, keyring)
        self._totals = Totals(records, keyring, clock)
        self._who = who
        self._clock = clock

    async def reports(
        self, experiments: Mapping[str, Experiment], name: str | None = None
    ) -> Sequence[Report]:
        """Say how experiments stand: one, or all."""
        names = list(experiments) if name is None else [name]
        named = {each: find(experiments, each) for each in names}
        verdicts, totals = await self._verdicts.look(), await self._totals.look()
        return [report(each, its, totals, verdicts.get(each)) for each, its in named.items()]

    async def stop(self, experiments: Mapping[str, Experiment], name: str) -> Experiment:
        """Give everyone the first arm."""
        experiment = find(experiments, name)
        await self._decide(name, "stopped", experiment.control)
        return experiment

    async def promote(self, experiments: Mapping[str, Experiment], name: str, arm: str) -> Experiment:
        """Give everyone this arm."""
        experiment = find(experiments, name)
        if arm not in experiment.arms:
            message = f"{name} has no arm {quoted(arm)}{_meant(arm, experiment.arms)}"
            raise Refusal(404, "arm_not_found", message, param="arm")
        await self._decide(name, "promoted", arm)
        return experiment

    async def _decide(self, name: str, state: Literal["stopped", "promoted"], arm: str) -> None:
        await self._verdicts.put(name, Verdict(state, arm, self._who, self._clock.now()))
        log.info("%s %s experiment %s: everyone in it gets %s", self._who, state, name, arm)


def find(experiments: Mapping[str, Experiment], name: str) -> Experiment:
    """Give an experiment. Raises Refusal (404)."""
    if name not in experiments:
        message = f"experiment.yaml has no experiment {quoted(name)}{_meant(name, experiments)}"
        raise Refusal(404, "experiment_not_found", message, param="experiment")
    return experiments[name]


def _meant(word: str, names: Mapping[str, object]) -> str:
    near = closest(word, names)
    return f"; did you mean {quoted(near)}?" if near else "."
