"""feedback: remembers what was decided, takes what clients say of it, and reads signs of how it was."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import msgspec
from multidict import CIMultiDict

from penstock.clock import SYSTEM, Clock
from penstock.errors import Refusal, StageFailed, StoreUnavailable
from penstock.exchange import Decision, Exchange
from penstock.experiment.assign import TAKES_PART, Assigner
from penstock.experiment.measure import cost_usd, failed_over
from penstock.experiment.policy import ExperimentPolicy
from penstock.experiment.tally import Cell, Tally
from penstock.feedback.decided import Decided, InArm, Notebook
from penstock.feedback.outcome import lesson
from penstock.feedback.policy import PATH, FeedbackPolicy, Sign
from penstock.feedback.proxies import Print, Threads, Turn, own_signs, sign
from penstock.feedback.rating import rating_of
from penstock.models.policy import ModelsPolicy
from penstock.openai.request import Endpoint, Request
from penstock.policy.base import PolicySet
from penstock.reply import Observer, Reply
from penstock.reply import Outcome as Ending
from penstock.routing.outcomes import Outcome as Lesson
from penstock.routing.outcomes import Outcomes
from penstock.routing.policy import RoutingPolicy
from penstock.stage import Proceed, Resources, Stage
from penstock.tenants.policy import TenantsPolicy

log = logging.getLogger("penstock.feedback")
_WRITE_S: Final = 1.0


class FeedbackStage(Stage[FeedbackPolicy]):
    """Answers what clients say of answers itself; of all else it remembers what was decided."""

    name = "feedback"
    policy = FeedbackPolicy
    nouns = (ExperimentPolicy, RoutingPolicy, TenantsPolicy, ModelsPolicy)
    after = ("identify", "ephemeral")

    _assigner: Assigner | None = None  # a stage that is only asked for its plan is never started
    _writing: asyncio.Task[None] | None = None
    _clock: Clock = SYSTEM

    async def start(self, resources: Resources) -> None:
        """Begin to write behind what is remembered and counted."""
        self._clock = resources.clock
        self._assigner = Assigner(resources.keyring)
        self._notebook = Notebook(resources.store, resources.keyring, resources.clock)
        self._outcomes = Outcomes(resources.records, resources.keyring)
        self._tally = Tally(resources.records, resources.keyring)
        self._threads = Threads()
        self._being_rated: set[tuple[str, str]] = set()
        self._writing = asyncio.get_running_loop().create_task(self._write(), name="feedback")

    def accept(self, policies: PolicySet) -> None:
        """Take how much may be kept."""
        if self._assigner is not None:
            self._notebook.limit_bytes = policies[FeedbackPolicy].limit_bytes

    async def stop(self) -> None:
        """Write what still waits."""
        if self._writing is None:
            return
        self._writing.cancel()
        await asyncio.gather(self._writing, return_exceptions=True)
        await self.flush()
        await self._outcomes.stop()

    def plan(self, exchange: Exchange) -> Decision:
        """Say whether the request is feedback, or one whose decision is remembered."""
        request = exchange.request
        if _is_feedback(request):
            return Decision(self.name, "rate")
        if request.endpoint not in TAKES_PART:
            return Decision(self.name, "pass", "no endpoint that is rated")
        if exchange.ephemeral:
            return Decision(self.name, "pass", "ephemeral")
        if exchange.policies[FeedbackPolicy].remember == "learned" and not _is_learned_from(exchange):
            return Decision(self.name, "pass", "nobody learns from it")
        return Decision(self.name, "remember")

    async def answer(self, exchange: Exchange, proceed: Proceed) -> Reply:
        """Take a rating, or remember what the rest of the road decides."""
        plan = self.plan(exchange)
        exchange.decisions.append(plan)
        if plan.action == "rate":
            return await self._rate(exchange)
        if plan.action == "pass" or self._assigner is None:
            return await proceed(exchange)
        answered = _Answered(self, exchange, self._assigner, self._clock)
        answered.meet(self._threads)
        reply = await proceed(exchange)
        if reply.status != 200:
            return reply
        answered.request_id = reply.headers.get("x-request-id", exchange.id)  # as the client is told
        if reply.stream is not None:
            return reply.observed_by(answered)
        answered.remember(left=False)
        return reply

    async def _rate(self, exchange: Exchange) -> Reply:
        """Take a rating. Whatever goes wrong, it must not go on to an upstream."""
        try:
            request_id, score = await rating_of(exchange.request)
            if self._assigner is None or not await self._take(exchange, request_id, score):
                raise Refusal(
                    404, "unknown_request", "No answer with this id can be rated.", param="/request_id"
                )
        except Refusal:
            raise
        except Exception as problem:
            if not isinstance(problem, StoreUnavailable):
                log.exception("feedback could not be taken")
            raise StageFailed(self.name) from None
        return Reply(204, CIMultiDict())

    async def _take(self, exchange: Exchange, request_id: str, score: float) -> bool:
        """Join a score to its decision; only the first one counts. Raises StoreUnavailable."""
        at = exchange.tenant, request_id
        if at in self._being_rated:
            return True
        self._being_rated.add(at)
        try:
            decided = await self._notebook.find(*at)
            if decided is None:
                return False
            if not decided.rated:
                left_s = exchange.policies[FeedbackPolicy].remember_s - (self._clock.now() - decided.at)
                rated = msgspec.structs.replace(decided, rated=True)
                await self._notebook.replace(request_id, rated, max(1.0, left_s))
                self.rated(decided, score)
            return True
        finally:
            self._being_rated.discard(at)

    def remember(self, request_id: str, decided: Decided, lasts_s: float) -> None:
        """Put a decision into the notebook."""
        self._notebook.put(request_id, decided, lasts_s)

    def rated(self, decided: Decided, score: float) -> None:
        """Hand a client's own score to its arms and to whoever learns from it."""
        for each in decided.arms:
            self._tally.of(_cell(each)).add("quality", score, each.bucket)
        self._teach(lesson(decided, score, 1.0))

    def seen(self, decided: Decided, found: Sign, weight: float) -> None:
        """Hand a sign to whoever learns from it; an escalation is about the model that answered first."""
        score = 1.0 if found == "went_on" else 0.0
        self._teach(lesson(decided, score, weight, first=found == "escalated"))

    def unhappy(self, decided: Decided, weight: float) -> None:
        """Add a sign to a request that its arms have counted."""
        for each in decided.arms:
            self._tally.of(_cell(each)).add("unhappy", weight, each.bucket, n=0)

    async def flush(self) -> None:
        """Write what waits; what the store does not take now waits on."""
        for part in (self._notebook, self._tally):
            with suppress(StoreUnavailable):
                await part.flush()

    def _teach(self, told: Lesson | None) -> None:
        if told is not None:
            self._outcomes.put(told)

    async def _write(self) -> None:
        while True:
            await asyncio.sleep(_WRITE_S)
            try:
                await self.flush()
            except Exception as problem:
                log.error("what is learned can't be written: %s", type(problem).__name__)


class _Answered(Observer):
    """One exchange from its arrival to its end, and the signs that it gives."""

    def __init__(self, stage: FeedbackStage, exchange: Exchange, assigner: Assigner, clock: Clock) -> None:
        self._stage = stage
        self._exchange = exchange
        self._assigner = assigner
        self._clock = clock
        self._request = exchange.request  # as it came: later stages change it
        self._policy = exchange.policies[FeedbackPolicy]
        self._began = clock.monotonic()
        self._turn: Turn | None = None
        self._repeats: Turn | None = None
        self.request_id = ""

    def meet(self, threads: Threads) -> None:
        """Compare the request with the one before it in its thread."""
        signs = self._policy.signs
        if not (signs.went_on or signs.re_ask or signs.edited or signs.regenerated):
            return
        thread = self._assigner.unit(self._exchange, "thread", self._request)
        if thread is None:
            return
        seen = Print.of(self._request)
        if seen is None:  # a tool's loop goes on: its last answer is the one to be judged
            self._turn = threads.latest(thread)
            return
        self._turn = Turn(seen, self._clock.monotonic())
        before = threads.next(thread, self._turn, self._policy.threads)
        if before is None:
            return
        known = self._assigner.known(self._exchange, self._request)
        found = sign(before, self._turn, self._policy, known=known)
        if found == "regenerated":
            self._repeats = before  # only if it is answered anew
        elif found is not None:
            self._judge(before, found)

    async def ended(self, outcome: Ending) -> None:
        """Remember a stream's decision at its end; one that broke was no answer."""
        if outcome is not Ending.FAILED:
            self.remember(left=outcome is Ending.ABANDONED)

    def remember(self, *, left: bool) -> None:
        """Keep what was decided, and what it says of itself."""
        decided = self._decided()
        self._stage.remember(self.request_id, decided, self._policy.remember_s)
        if self._repeats is not None and self._exchange.attempts:
            self._judge(self._repeats, "regenerated")
        weights = [self._learn(decided, each) for each in own_signs(self._exchange, left=left)]
        if worst := max(weights, default=0.0):
            self._stage.unhappy(decided, worst)
        if self._turn is not None:
            self._turn.decided, self._turn.judged = decided, worst > 0

    def _judge(self, before: Turn, found: Sign) -> None:
        """Take a sign for what was answered before; no request is unhappy twice."""
        if before.decided is None:
            return
        weight = self._learn(before.decided, found)
        if weight and not before.judged:
            self._stage.unhappy(before.decided, weight)
            before.judged = True

    def _learn(self, decided: Decided, found: Sign) -> float:
        weight: float = getattr(self._policy.signs, found)
        if weight:
            self._stage.seen(decided, found, weight)
        return weight if found != "went_on" else 0.0

    def _decided(self) -> Decided:
        exchange = self._exchange
        return Decided(
            tenant=exchange.tenant,
            alias=self._request.model or "",
            models=[call.model for call in exchange.calls] or [exchange.model or ""],
            at=self._clock.now(),
            intent=exchange.intent or "",
            latency_s=self._clock.monotonic() - self._began,
            cost_usd=cost_usd(exchange),
            learned=exchange.learned,
            arms=list(self._arms()),
            escalated=exchange.escalated,
        )

    def _arms(self) -> Sequence[InArm]:
        """Give the arms that count this exchange: what they don't count can't be rated for them either."""
        exchange, policy = self._exchange, self._exchange.policies[ExperimentPolicy]
        if not exchange.attempts or failed_over(exchange) or exchange.tenant in policy.exclude_tenants:
            return ()
        found = []
        for name, arm in exchange.arms.items():
            its = policy.experiments.get(name)
            unit = self._assigner.unit(exchange, its.unit, self._request) if its else None
            if its is None or unit is None:
                continue
            place = self._assigner.place(name, its, unit)
            if place.arm == arm:  # else everyone was given this arm
                found.append(InArm(name, its.digest, arm, place.bucket))
        return found


def _is_feedback(request: Request) -> bool:
    return request.endpoint is Endpoint.OTHER and request.path == PATH


def _is_learned_from(exchange: Exchange) -> bool:
    policies = exchange.policies
    routed = (exchange.request.model or "") in policies[RoutingPolicy].aliases
    return routed or bool(policies[ExperimentPolicy].experiments)


def _cell(each: InArm) -> Cell:
    return Cell(each.experiment, each.digest, each.arm)
