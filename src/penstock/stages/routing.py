"""routing: which model and upstream answer, and whether the small model's answer is good enough."""

import asyncio
import random
from typing import Final

from penstock.clock import SYSTEM
from penstock.exchange import Decision, Exchange
from penstock.experiment.mixed import variants
from penstock.jobs.shelf import Known
from penstock.jobs.train_router import TrainRouter
from penstock.jobs.turn import Turn
from penstock.models.policy import ModelsPolicy
from penstock.openai.request import Endpoint
from penstock.policy.base import PolicySet
from penstock.reply import Reply
from penstock.routing.ask import STAGE, Asker
from penstock.routing.asked import thread_of
from penstock.routing.balance import Balance
from penstock.routing.escalate import Escalation
from penstock.routing.learner import COLD_START
from penstock.routing.outcomes import Outcomes
from penstock.routing.policy import Alias, RoutingPolicy
from penstock.routing.shadow import Shadow
from penstock.routing.think import Thinker, Thought
from penstock.routing.versions import Versions
from penstock.stage import Proceed, Resources, Stage
from penstock.telemetry import metrics
from penstock.tenants.policy import TenantsPolicy
from penstock.upstream.policy import UpstreamsPolicy

_SPOKEN: Final = (Endpoint.CHAT, Endpoint.RESPONSES, Endpoint.COMPLETIONS)


class Routing(Stage[RoutingPolicy]):
    """Chooses a candidate of the alias that was asked for; a cascade asks the large one only if it must."""

    name = STAGE
    policy = RoutingPolicy
    nouns = (ModelsPolicy, TenantsPolicy)
    after = ("identify", "ephemeral", "redaction", "experiment", "memory", "summary", "cache", "budget")
    skippable = False

    def __init__(self) -> None:
        self._live = RoutingPolicy()
        self._routes = metrics.Routes()
        self._learning: asyncio.Task[None] | None = None
        self._thinker = Thinker(SYSTEM, lambda tenant, alias: COLD_START)  # until it is started

    @classmethod
    def demanded(cls, policies: PolicySet) -> str | None:
        """Nobody upstream knows an alias."""
        return "routing.yaml has aliases" if policies[RoutingPolicy].aliases else None

    async def start(self, resources: Resources) -> None:
        """Read the live scorers, watch upstreams, and take turns at training."""
        clock, rng = resources.clock, random.Random()  # noqa: S311 - who is asked is no secret
        self._keyring = resources.keyring
        self._versions = Versions(resources.records, resources.keyring)
        self._outcomes = Outcomes(resources.records, resources.keyring)
        balance = Balance(clock, rng, self._routes)
        self._thinker = Thinker(clock, self._versions.weights, balance.slowdown)
        self._asker = Asker(self._thinker, balance, clock)
        self._known = Known(resources.records, resources.keyring)
        self._shadow = Shadow(self._outcomes, rng, self._known.count)
        turn = Turn(resources.ledger, clock, "train_router")
        stores = resources.records, resources.keyring
        self._training = TrainRouter(*stores, self._versions, turn, clock, lambda: self._live)
        await asyncio.gather(self._versions.start(), self._known.start())
        self._training.start()

    async def recall(self, resources: Resources) -> None:
        """Read the live scorers, as they are now."""
        versions = Versions(resources.records, resources.keyring)
        await versions.look()
        self._thinker = Thinker(resources.clock, versions.weights)

    def accept(self, policies: PolicySet) -> None:
        """Learn the intents of the files and of all arms, beside the road."""
        upstreams = policies[UpstreamsPolicy].upstreams
        self._routes.accept({name: (each.provider, each.region) for name, each in upstreams.items()})
        self._live = policies[RoutingPolicy]
        intents = [self._live.intents, *(its.intents for its in variants(policies, RoutingPolicy, "intents"))]
        if self._learning is not None:
            self._learning.cancel()  # it would learn what nobody has any more
        if any(intents) or self._learning is not None:
            turning = self._thinker.intents.turn_to(intents)
            self._learning = asyncio.get_running_loop().create_task(turning, name="intents")

    async def stop(self) -> None:
        """Give what was learned to the others."""
        if self._learning is not None:
            self._learning.cancel()
            await asyncio.gather(self._learning, return_exceptions=True)
        await self._shadow.stop()
        await self._training.stop()
        await self._outcomes.stop()
        await self._known.stop()
        await self._versions.stop()

    def plan(self, exchange: Exchange) -> Decision:
        """Say who would answer, and why."""
        alias = _alias(exchange)
        if alias is None:
            return Decision(self.name, "pass", "no alias")
        # A stage that is only asked for its plan has accepted nothing.
        self._thinker.intents.learn(exchange.policies[RoutingPolicy].intents)
        thought = self._thinker.think(exchange, exchange.request.model or "", alias, None)
        about = f"intent {exchange.intent}, " if exchange.intent else ""
        why = about + thought.choice.why + self._thinker.pulled(exchange, thought)
        return Decision(self.name, thought.choice.candidate.model, why)

    async def answer(self, exchange: Exchange, proceed: Proceed) -> Reply:
        """Choose, ask, and judge where the policy says so."""
        alias = _alias(exchange)
        if alias is None:
            exchange.decide(self.name, "pass", "no alias")
            return await proceed(exchange)
        thread = self._thread(exchange, alias)
        thought = self._thinker.think(exchange, exchange.request.model or "", alias, thread)
        reply = await self._answer(exchange, thought, proceed)
        return self._shadow.follow(exchange, thought, reply, proceed)

    async def _answer(self, exchange: Exchange, thought: Thought, proceed: Proceed) -> Reply:
        """Ask whom was chosen, as the cascade's policy has it for streams."""
        choice, cascade = thought.choice, thought.alias.cascade
        if cascade is None or choice.larger is None or (thought.asked.stream and cascade.streams == "pre"):
            return await self._asker.ask(exchange, thought, choice.candidate, choice.why, proceed)
        if thought.asked.stream and cascade.streams == "off":
            return await self._asker.ask(exchange, thought, choice.larger, "streams are not judged", proceed)
        trust = self._versions.trust
        return await Escalation(exchange, thought, cascade, choice.larger, self._asker, trust, proceed).run()

    def _thread(self, exchange: Exchange, alias: Alias) -> bytes | None:
        """Name the thread, or the user, by a keyed hash."""
        if alias.stick == "none":
            return None
        whose = exchange.user if alias.stick == "user" else thread_of(exchange.request)
        if not whose:
            return None
        parts = (exchange.tenant, exchange.key_id, exchange.request.model or "", whose)
        return self._keyring.mac("routing-thread", *(part.encode("utf-8", "surrogatepass") for part in parts))


def _alias(exchange: Exchange) -> Alias | None:
    if exchange.request.endpoint not in _SPOKEN:
        return None
    return exchange.policies[RoutingPolicy].aliases.get(exchange.request.model or "")
