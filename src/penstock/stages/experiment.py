"""experiment: gives each request its arms, counts how the arms do, and stops one that does harm."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from penstock.clock import SYSTEM, Clock
from penstock.errors import Refusal, StoreUnavailable
from penstock.exchange import Decision, Exchange
from penstock.experiment import measure
from penstock.experiment.assign import TAKES_PART, Assigner
from penstock.experiment.measure import Ended
from penstock.experiment.mixed import Mixed
from penstock.experiment.policy import ExperimentPolicy
from penstock.experiment.report import Report, report
from penstock.experiment.tally import Cell, Tally, Totals
from penstock.experiment.verdicts import Verdict, Verdicts
from penstock.models.policy import ModelsPolicy
from penstock.policy.base import PolicySet
from penstock.reply import Observer, Outcome, Reply, Stream
from penstock.stage import Proceed, Resources, Stage
from penstock.tenants.policy import TenantsPolicy

log = logging.getLogger("penstock.experiment")
HEADER: Final = "x-dac-experiment"
_LOOK_S: Final = 2.0
_USAGE_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class _Assigned:
    """An arm that an exchange is in, and the bucket it counts in; None where it does not count."""

    cell: Cell
    bucket: int | None


class Experiment(Stage[ExperimentPolicy]):
    """Puts each request under the settings of its arms."""

    name = "experiment"
    policy = ExperimentPolicy
    nouns = (TenantsPolicy, ModelsPolicy)
    after = ("identify", "ephemeral", "redaction", "feedback")

    _assigner: Assigner | None = None  # a stage that is only asked for its plan is never started
    _verdicts: Verdicts | None = None
    _watching: asyncio.Task[None] | None = None
    _clock: Clock = SYSTEM

    def __init__(self) -> None:
        self._mixed: deque[Mixed] = deque(maxlen=3)  # of the live policies, and of those just before
        self._live: PolicySet | None = None

    async def start(self, resources: Resources) -> None:
        """Begin to follow verdicts, and to add up what all processes count."""
        self._clock = resources.clock
        self._assigner = Assigner(resources.keyring)
        self._tally = Tally(resources.records, resources.keyring)
        self._totals = Totals(resources.records, resources.keyring)
        self._verdicts = Verdicts(resources.records, resources.keyring)
        await self._verdicts.start()
        self._watching = asyncio.get_running_loop().create_task(self._watch(), name="experiments")

    def accept(self, policies: PolicySet) -> None:
        """Make the policies of every arm. Raises StartError."""
        self._mixed.append(Mixed(policies))
        self._live = policies

    async def stop(self) -> None:
        """Write what is counted and not yet written."""
        if self._watching is None or self._verdicts is None:
            return
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        await self._verdicts.stop()
        with suppress(StoreUnavailable):
            await self._tally.flush()

    def plan(self, exchange: Exchange) -> Decision:
        """Say which arms the request gets; one that was never started can't know them."""
        experiments = exchange.policies[ExperimentPolicy].experiments
        if exchange.request.endpoint not in TAKES_PART:
            return Decision(self.name, "pass", "no endpoint of experiments")
        if self._assigner is None:
            names = [name for name, each in experiments.items() if each.concerns(exchange.tenant)]
            return Decision(self.name, "assign" if names else "pass", ", ".join(names) or "no experiment")
        return self._assign(exchange, self._assigner)[0]

    async def answer(self, exchange: Exchange, proceed: Proceed) -> Reply:
        """Assign, proceed, count."""
        if self._assigner is None or exchange.request.endpoint not in TAKES_PART:
            exchange.decisions.append(self.plan(exchange))
            return await proceed(exchange)
        decision, assigned = self._assign(exchange, self._assigner)
        exchange.decisions.append(decision)
        if not assigned:
            return await proceed(exchange)
        began = self._clock.monotonic()

        def ended(status: int | None, at: float | None = None) -> None:
            now = self._clock.monotonic() if at is None else at
            self._count(exchange, assigned, Ended(status, now - began))

        try:
            reply = await proceed(exchange)
        except Refusal as refusal:
            ended(refusal.status)
            raise
        except asyncio.CancelledError:
            ended(None)
            raise
        if reply.stream is not None:
            return reply.observed_by(_Counted(exchange, reply.stream, ended, self._clock))
        ended(reply.status)
        return reply

    def _assign(self, exchange: Exchange, assigner: Assigner) -> tuple[Decision, Sequence[_Assigned]]:
        """Mark the exchange with its arms, and put it under their settings."""
        base, policy = exchange.policies, exchange.policies[ExperimentPolicy]
        verdicts: Mapping[str, Verdict] = self._verdicts.known if self._verdicts else {}
        counts = exchange.tenant not in policy.exclude_tenants
        assigned: list[_Assigned] = []
        for name, experiment in policy.experiments.items():
            if not experiment.concerns(exchange.tenant):
                continue
            verdict = verdicts.get(name)
            if verdict is not None:
                arm = verdict.arm if verdict.arm in experiment.arms else experiment.control
                assigned.append(_Assigned(Cell.of(name, experiment, arm), None))
            elif (unit := assigner.unit(exchange, experiment.unit)) is not None:
                place = assigner.place(name, experiment, unit)
                bucket = place.bucket if counts else None
                assigned.append(_Assigned(Cell.of(name, experiment, place.arm), bucket))
        if not assigned:
            return Decision(self.name, "pass", "no experiment" if not policy.experiments else "no arm"), ()
        exchange.arms.update({each.cell.experiment: each.cell.arm for each in assigned})
        exchange.policies = self._mix(base).of(
            tuple(sorted((each.cell.experiment, each.cell.arm) for each in assigned))
        )
        told = ",".join(f"{each.cell.experiment}={each.cell.arm}" for each in assigned)
        exchange.answer_headers[HEADER] = told
        return Decision(self.name, "assign", told), assigned

    def _mix(self, policies: PolicySet) -> Mixed:
        """Give the arms of a set; an exchange may still have the one before the live one."""
        for mixed in self._mixed:
            if mixed.base is policies:
                return mixed
        self._mixed.append(Mixed(policies))
        return self._mixed[-1]

    def _count(self, exchange: Exchange, assigned: Sequence[_Assigned], ended: Ended) -> None:
        for each in assigned:
            if each.bucket is not None:
                measure.count(self._tally.of(each.cell), exchange, ended, each.bucket)

    async def _watch(self) -> None:
        """Write and add up for ever; what goes wrong is told, and tried again."""
        while True:
            await asyncio.sleep(_LOOK_S)
            try:
                await self.look()
            except StoreUnavailable:
                continue
            except Exception as problem:
                log.error("experiments can't be judged: %s", type(problem).__name__)

    async def look(self) -> None:
        """Write what was counted, and stop what breaks a guardrail. Raises StoreUnavailable."""
        await self._tally.flush()
        totals = await self._totals.read()
        if self._live is None or self._verdicts is None:
            return
        for name, experiment in self._live[ExperimentPolicy].experiments.items():
            if experiment.guardrails and name not in self._verdicts.known:
                judged = report(name, experiment, totals)
                if judged.broken:
                    await self._stop(self._verdicts, judged)

    async def _stop(self, verdicts: Verdicts, judged: Report) -> None:
        evidence = "; ".join(str(compared) for compared in judged.broken)
        verdict = Verdict("stopped", judged.experiment.control, "guardrail", self._clock.now(), evidence)
        await verdicts.put(judged.name, verdict)
        log.warning("experiment %s is stopped by a guardrail: %s", judged.name, evidence)


_Tell = Callable[[int | None, float | None], None]


class _Counted(Observer):
    """Counts a stream at its end."""

    def __init__(self, exchange: Exchange, stream: Stream, tell: _Tell, clock: Clock) -> None:
        self._exchange = exchange
        self._stream = stream
        self._tell = tell
        self._clock = clock

    async def ended(self, outcome: Outcome) -> None:
        """Count it; one that the client left says nothing about the arm.

        A call that several share may tell its usage a moment after its readers have left.
        """
        if outcome is Outcome.ABANDONED:
            self._tell(None, None)
            return
        status = measure.status_of(self._stream.failure if outcome is Outcome.FAILED else None)
        if any(call.usage is None for call in self._exchange.calls):
            asyncio.get_running_loop().call_later(_USAGE_S, self._tell, status, self._clock.monotonic())
        else:
            self._tell(status, None)
