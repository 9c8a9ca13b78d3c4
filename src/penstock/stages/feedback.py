"""feedback: remembers what was decided, takes what clients say of it, and reads signs of how it was."""

import logging
from typing import Final

from multidict import CIMultiDict

from penstock.clock import SYSTEM, Clock
from penstock.errors import Refusal, StageFailed, StoreUnavailable
from penstock.exchange import Decision, Exchange
from penstock.experiment.assign import TAKES_PART
from penstock.experiment.policy import ExperimentPolicy
from penstock.experiment.rated import Ratings
from penstock.feedback.answered import Answered
from penstock.feedback.decided import Notebook
from penstock.feedback.desk import Desk
from penstock.feedback.policy import PATH, FeedbackPolicy
from penstock.feedback.rating import rating_of
from penstock.models.policy import ModelsPolicy
from penstock.policy.base import PolicySet
from penstock.reply import Reply
from penstock.routing.outcomes import Outcomes
from penstock.routing.policy import RoutingPolicy
from penstock.stage import Proceed, Resources, Stage
from penstock.tenants.policy import TenantsPolicy

log = logging.getLogger("penstock.feedback")
_RATE: Final = Decision("feedback", "rate")
_REMEMBER: Final = Decision("feedback", "remember")
_NO_ANSWER: Final = Decision("feedback", "pass", "no endpoint that is rated")
_EPHEMERAL: Final = Decision("feedback", "pass", "ephemeral")
_NOBODY: Final = Decision("feedback", "pass", "nobody learns from it")


class FeedbackStage(Stage[FeedbackPolicy]):
    """Answers what clients say of answers itself; of all else it remembers what was decided."""

    name = "feedback"
    policy = FeedbackPolicy
    nouns = (ExperimentPolicy, RoutingPolicy, TenantsPolicy, ModelsPolicy)
    after = ("identify", "ephemeral")

    _desk: Desk | None = None  # a stage that is only asked for its plan is never started
    _idle: PolicySet | None = None  # the live policies where nobody learns from anything
    _clock: Clock = SYSTEM

    async def start(self, resources: Resources) -> None:
        """Begin to write behind what is remembered and counted."""
        self._clock = resources.clock
        notebook = Notebook(resources.store, resources.keyring, resources.clock)
        outcomes = Outcomes(resources.records, resources.keyring)
        ratings = Ratings(resources.records, resources.keyring, resources.clock)
        self._desk = Desk(notebook, outcomes, ratings, resources.clock)
        self._desk.start()

    def accept(self, policies: PolicySet) -> None:
        """Take how much may be kept."""
        if self._desk is not None:
            self._desk.notebook.limit_bytes = policies[FeedbackPolicy].limit_bytes
        self._idle = policies if _nobody_learns(policies) else None

    async def stop(self) -> None:
        """Write what still waits."""
        if self._desk is not None:
            await self._desk.stop()

    def plan(self, exchange: Exchange) -> Decision:
        """Say whether the request is feedback, or one whose decision is remembered."""
        if exchange.request.path == PATH:
            return _RATE
        if exchange.policies is self._idle:
            return _NOBODY
        if exchange.request.endpoint not in TAKES_PART:
            return _NO_ANSWER
        if exchange.ephemeral:
            return _EPHEMERAL
        return _REMEMBER if _is_learned_from(exchange) else _NOBODY

    async def answer(self, exchange: Exchange, proceed: Proceed) -> Reply:
        """Take a rating, or remember what the rest of the road decides."""
        plan = self.plan(exchange)
        exchange.decisions.append(plan)
        if plan is _RATE:
            return await self._rate(exchange)
        if plan is not _REMEMBER or self._desk is None:
            return await proceed(exchange)
        answered = Answered(self._desk, exchange, self._clock)
        answered.meet()
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
        lasts_s = exchange.policies[FeedbackPolicy].remember_s
        try:
            request_id, score = await rating_of(exchange.request)
            if self._desk is None or not await self._desk.take(exchange.tenant, request_id, score, lasts_s):
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


def _is_learned_from(exchange: Exchange) -> bool:
    policies = exchange.policies
    if policies[FeedbackPolicy].remember == "all" or policies[ExperimentPolicy].experiments:
        return True
    return (exchange.request.model or "") in policies[RoutingPolicy].aliases


def _nobody_learns(policies: PolicySet) -> bool:
    learned = policies[RoutingPolicy].aliases or policies[ExperimentPolicy].experiments
    return policies[FeedbackPolicy].remember == "learned" and not learned
