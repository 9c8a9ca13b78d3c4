"""Asking a candidate: within the budget, at the better of its upstreams, and remembered for its thread."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from penstock.clock import Clock
from penstock.exchange import Exchange
from penstock.reply import Reply
from penstock.routing.balance import Balance
from penstock.routing.feedback import Served
from penstock.routing.lately import Stuck
from penstock.routing.outcomes import Learned
from penstock.routing.policy import Candidate, RoutingPolicy
from penstock.routing.think import Thinker, Thought

Proceed = Callable[[Exchange], Awaitable[Reply]]
STAGE = "routing"


@dataclass(frozen=True, slots=True)
class Asker:
    """Asks one candidate at a time."""

    thinker: Thinker
    balance: Balance
    clock: Clock

    async def ask(
        self, exchange: Exchange, thought: Thought, candidate: Candidate, why: str, proceed: Proceed
    ) -> Reply:
        """Ask a candidate, or the smallest where the budget has no room for it."""
        smallest = thought.alias.candidates[0]
        if candidate.model != smallest.model and not await self.affords(exchange, candidate.model):
            candidate, why = smallest, "the budget has no room for more"
        self._decide(exchange, thought, candidate, why)
        return await self.ask_paid(exchange, thought, candidate, proceed)

    async def affords(self, exchange: Exchange, model: str) -> bool:
        """Hold what a call of this model may cost beside what is held already."""
        return exchange.purse is None or await exchange.purse.top_up(model)

    async def ask_paid(
        self, exchange: Exchange, thought: Thought, candidate: Candidate, proceed: Proceed
    ) -> Reply:
        """Ask a candidate that is paid for."""
        upstream = self._upstream(exchange, thought, candidate)
        exchange.request = thought.asked.with_fields(model=candidate.model)
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
            exchange.learned = Learned.of(thought.features, served, 1.0, exchange.intent).packed()
