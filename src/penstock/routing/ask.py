"""Asking a candidate: within the budget, at the better of its upstreams, and remembered for its thread."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from penstock.clock import Clock
from penstock.errors import StoreUnavailable
from penstock.exchange import Exchange
from penstock.models.policy import ModelsPolicy
from penstock.openai.request import Request
from penstock.reply import Reply
from penstock.routing.balance import Balance
from penstock.routing.choose import able
from penstock.routing.feedback import Served
from penstock.routing.lately import Stuck
from penstock.routing.logprobs import Refusers
from penstock.routing.outcomes import Learned
from penstock.routing.policy import Candidate, RoutingPolicy
from penstock.routing.think import Thinker, Thought

Proceed = Callable[[Exchange], Awaitable[Reply]]
STAGE = "routing"
NO_ROOM: Final = "the budget has no room for more"


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks one candidate at a time."""

    thinker: Thinker
    balance: Balance
    clock: Clock
    refusers: Refusers = field(default_factory=Refusers)

    async def ask(
        self, exchange: Exchange, thought: Thought, candidate: Candidate, why: str, proceed: Proceed
    ) -> Reply:
        """Ask a candidate, or a smaller one where the budget has no room for it. Raises Refusal."""
        candidate = await self.paid(exchange, thought, candidate, why)
        return await self.ask_paid(exchange, thought, candidate, proceed)

    async def paid(self, exchange: Exchange, thought: Thought, candidate: Candidate, why: str) -> Candidate:
        """Give the candidate, or a smaller one where the budget has no room for it; write down who it is.

        Raises Refusal, the budget's own, where it has room for none that can answer.
        """
        smallest = thought.alias.candidates[0]
        if candidate.model != smallest.model and not await self.affords(exchange, candidate.model):
            candidate, why = await self._smaller(exchange, thought, candidate), NO_ROOM
        self._decide(exchange, thought, candidate, why)
        return candidate

    async def affords(self, exchange: Exchange, model: str) -> bool:
        """Hold what a call of this model may cost beside what is held already."""
        return exchange.purse is None or await exchange.purse.top_up(model)

    async def affords_more(self, exchange: Exchange, model: str) -> bool:
        """Say the same of a call that is not worth a failure: there is an answer already, or will be."""
        try:
            return await self.affords(exchange, model)
        except StoreUnavailable:
            return False

    async def ask_paid(
        self,
        exchange: Exchange,
        thought: Thought,
        candidate: Candidate,
        proceed: Proceed,
        asked: Request | None = None,
    ) -> Reply:
        """Ask a candidate that is paid for; `asked` is the request if it is not the client's own."""
        upstream = self._upstream(exchange, thought, candidate)
        exchange.request = (asked or thought.asked).with_fields(model=candidate.model)
        exchange.target = upstream
        self.keep(exchange, thought, candidate)
        if upstream is None:
            return await proceed(exchange)
        ticket = self.balance.began(upstream, candidate.model)
        try:
            reply = await proceed(exchange)
        except BaseException as problem:
            ticket.broke(problem)
            raise
        return self.balance.follow(ticket, reply, exchange.usage)

    def keep(self, exchange: Exchange, thought: Thought, candidate: Candidate) -> None:
        """Let the thread stay with whom answers it."""
        if thought.thread is not None:
            until = self.clock.now() + thought.alias.stick_s
            self.thinker.threads.keep(thought.thread, Stuck(candidate.model, exchange.target, until))

    async def _smaller(self, exchange: Exchange, thought: Thought, wanted: Candidate) -> Candidate:
        """Give the smallest candidate that can answer and is paid for."""
        for candidate in able(thought.alias, thought.asked, exchange.policies[ModelsPolicy]):
            if candidate.model == wanted.model:
                break
            smallest = candidate.model == thought.alias.candidates[0].model  # it was paid for beforehand
            if smallest or await self.affords(exchange, candidate.model):
                return candidate
        assert exchange.purse is not None  # noqa: S101 - else there is room for all
        raise exchange.purse.refusal()

    def _upstream(self, exchange: Exchange, thought: Thought, candidate: Candidate) -> str | None:
        if not candidate.upstreams:
            return None
        prefer = thought.stuck.upstream if thought.stuck is not None else None
        latency = exchange.policies[RoutingPolicy].latency
        return self.balance.choose(candidate.model, candidate.upstreams, latency, prefer)

    def _decide(self, exchange: Exchange, thought: Thought, candidate: Candidate, why: str) -> None:
        """Write down who answers, and what a later outcome will teach."""
        small = candidate.model == thought.alias.candidates[0].model
        served = Served.SMALL if small else Served.LARGE
        exchange.decide(STAGE, served.value, why)
        if not exchange.ephemeral:
            learned = Learned.of(thought.features, served, 1.0, exchange.intent)
            exchange.learned = msgspec.structs.replace(learned, key=secrets.token_bytes(8)).packed()
