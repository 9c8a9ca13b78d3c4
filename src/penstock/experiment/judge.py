"""Judge: writes what is counted, adds up what all have counted, and stops an arm that does harm."""

import asyncio
import logging
import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from penstock.clock import Clock
from penstock.errors import StoreUnavailable
from penstock.experiment.policy import Experiment, ExperimentPolicy
from penstock.experiment.report import Report, report
from penstock.experiment.tally import Cell, Counts, Tally
from penstock.experiment.totals import Totals
from penstock.experiment.verdicts import Verdict, Verdicts
from penstock.policy.base import PolicySet
from penstock.stores.keyring import Keyring
from penstock.stores.records import Records
from penstock.telemetry.metrics import Arms

log = logging.getLogger("penstock.experiment")
_LOOK_S: Final = 2.0
_FOLD_S: Final = 600.0


class Judge:
    """Looks at the experiments every two seconds, from `start` to `stop`."""

    def __init__(self, records: Records, keyring: Keyring, clock: Clock) -> None:
        self.tally = Tally(records, keyring, clock)
        self.verdicts = Verdicts(records, keyring)
        self._totals = Totals(records, keyring, clock)
        self._clock = clock
        self._metrics = Arms()
        self._live: Mapping[str, Experiment] = {}
        self._folded_at = -math.inf
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin; a store that is not there yet is no error."""
        await self.verdicts.start()
        self._watching = asyncio.get_running_loop().create_task(self._watch(), name="experiments")

    def accept(self, policies: PolicySet) -> None:
        """Take the experiments that are to be judged."""
        self._live = policies[ExperimentPolicy].experiments

    async def stop(self) -> None:
        """End, and write what is counted and not yet written."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await self.verdicts.stop()
        with suppress(StoreUnavailable):
            await self.tally.flush()

    async def look(self) -> None:
        """Write what was counted, and stop what breaks a guardrail. Raises StoreUnavailable."""
        known = self.verdicts.known
        states = {name: known[name].state if name in known else "running" for name in self._live}
        self._metrics.states(states)
        await self.tally.flush()
        if self._live:
            await self._judge(await self._totals.look())
        if self._clock.monotonic() - self._folded_at >= _FOLD_S:
            self._folded_at = self._clock.monotonic()
            await self._totals.fold((name, each.digest) for name, each in self._live.items())

    async def _judge(self, totals: Mapping[Cell, Counts]) -> None:
        for name, experiment in self._live.items():
            if experiment.guardrails and name not in self.verdicts.known:
                judged = report(name, experiment, totals)
                if judged.broken:
                    await self._stop(judged)

    async def _stop(self, judged: Report) -> None:
        evidence = "; ".join(str(compared) for compared in judged.broken)
        verdict = Verdict("stopped", judged.experiment.control, "guardrail", self._clock.now(), evidence)
        await self.verdicts.put(judged.name, verdict)
        log.warning("experiment %s is stopped by a guardrail: %s", judged.name, evidence)

    async def _watch(self) -> None:
        """Look for ever; what goes wrong is told, and tried again."""
        while True:
            await asyncio.sleep(_LOOK_S)
            try:
                await self.look()
            except StoreUnavailable:
                continue
            except Exception as problem:
                log.error("experiments can't be judged: %s", type(problem).__name__)
