"""experiment: gives each request its arms, counts how the arms do, and stops one that does harm."""

from asyncio import CancelledError
from collections.abc import Sequence
from typing import Final

from penstock.clock import SYSTEM, Clock
from penstock.errors import Refusal
from penstock.exchange import Decision, Exchange
from penstock.experiment.assign import TAKES_PART, Assigner
from penstock.experiment.counting import CountedStream, Counting
from penstock.experiment.judge import Judge
from penstock.experiment.policy import ExperimentPolicy
from penstock.experiment.seating import Seat, Seating, told
from penstock.models.policy import ModelsPolicy
from penstock.policy.base import PolicySet
from penstock.reply import Reply
from penstock.stage import Proceed, Resources, Stage
from penstock.tenants.policy import TenantsPolicy

_NOTHING: Final = Decision("experiment", "pass", "no experiment")
_NO_PART: Final = Decision("experiment", "pass", "no endpoint of experiments")
_NO_ARM: Final = Decision("experiment", "pass", "no arm")


class Experiment(Stage[ExperimentPolicy]):
    """Puts each request under the settings of its arms."""

    name = "experiment"
    policy = ExperimentPolicy
    nouns = (TenantsPolicy, ModelsPolicy)
    after = ("identify", "ephemeral", "redaction", "feedback")

    _judge: Judge | None = None  # a stage that is only asked for its plan is never started
    _seating: Seating | None = None
    _idle: PolicySet | None = None  # the live policies where they have no experiment
    _clock: Clock = SYSTEM

    async def start(self, resources: Resources) -> None:
        """Begin to follow verdicts, and to add up what all processes count."""
        self._clock = resources.clock
        self._seating = Seating(Assigner(resources.keyring))
        self._judge = Judge(resources.records, resources.keyring, resources.clock)
        await self._judge.start()

    def accept(self, policies: PolicySet) -> None:
        """Make the policies of every arm. Raises StartError."""
        if self._seating is not None and self._judge is not None:
            self._seating.accept(policies)
            self._judge.accept(policies)
        self._idle = None if policies[ExperimentPolicy].experiments else policies

    async def stop(self) -> None:
        """Write what is counted and not yet written."""
        if self._judge is not None:
            await self._judge.stop()

    def plan(self, exchange: Exchange) -> Decision:
        """Say which arms the request gets; one that was never started can't know them."""
        return self._plan(exchange)[0]

    async def answer(self, exchange: Exchange, proceed: Proceed) -> Reply:
        """Assign, proceed, count."""
        if exchange.policies is self._idle:
            exchange.decisions.append(_NOTHING)
            return await proceed(exchange)
        decision, seats = self._plan(exchange)
        exchange.decisions.append(decision)
        if not seats or self._judge is None:
            return await proceed(exchange)
        counting = Counting(exchange, seats, self._judge.tally, self._clock)
        try:
            reply = await proceed(exchange)
        except Refusal as refusal:
            counting.ended(refusal.status)
            raise
        except CancelledError:
            counting.ended(None)
            raise
        if reply.stream is not None:
            return reply.observed_by(CountedStream(counting, reply.stream))
        counting.ended(reply.status)
        return reply

    def _plan(self, exchange: Exchange) -> tuple[Decision, Sequence[Seat]]:
        experiments = exchange.policies[ExperimentPolicy].experiments
        if not experiments:
            return _NOTHING, ()
        if exchange.request.endpoint not in TAKES_PART:
            return _NO_PART, ()
        if self._seating is None or self._judge is None:
            names = ", ".join(name for name, each in experiments.items() if each.concerns(exchange.tenant))
            return (Decision(self.name, "assign", names) if names else _NOTHING), ()
        seats = self._seating.seat(exchange, self._judge.verdicts.known)
        return (Decision(self.name, "assign", told(seats)) if seats else _NO_ARM), seats
