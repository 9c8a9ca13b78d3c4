"""A feedback stage on a store and records in memory, and an upstream that a router might have chosen."""

from collections.abc import Callable, Mapping
from typing import Any

from penstock import testing
from penstock.exchange import Call, Exchange
from penstock.experiment.assign import Assigner
from penstock.experiment.policy import Arm, Experiment, ExperimentPolicy
from penstock.experiment.tally import Counts
from penstock.experiment.totals import Totals
from penstock.feedback.policy import FeedbackPolicy
from penstock.models.policy import ModelsPolicy
from penstock.openai.usage import Usage
from penstock.reply import Reply
from penstock.routing.outcomes import Learned, Outcome, Outcomes
from penstock.stage import Resources
from penstock.stages.feedback import FeedbackStage
from penstock.tenants.policy import TenantsPolicy

TRIAL = Experiment(arms={"control": Arm(), "treatment": Arm()})
QUESTION = "how do I sort a list of numbers in Python without changing it"


_NONE = frozenset[int]()
LEARNED = Learned(frozenset({1, 2}), _NONE, _NONE, "small", 0.5, "code").packed()


class Upstream:
    """The rest of the road: puts the request into an arm, routes it, and answers."""

    def __init__(self, assigner: Assigner) -> None:
        self.assigner = assigner
        self.answer: Callable[[], Reply] = testing.chat("hi")
        self.models = ["small"]
        self.attempts = 1
        self.seen: list[Exchange] = []

    async def __call__(self, exchange: Exchange) -> Reply:
        self.seen.append(exchange)
        unit = self.assigner.unit(exchange, "user")
        if unit is not None:
            exchange.arms["e"] = self.assigner.place("e", TRIAL, unit).arm
        exchange.attempts = self.attempts
        exchange.escalated = len(self.models) > 1
        exchange.calls = [Call(model, Usage(1, 1)) for model in self.models if self.attempts]
        exchange.intent, exchange.learned = "code", LEARNED
        return self.answer()


class House:
    """The stage, started; `shared` gives another process on the same store."""

    def __init__(self, policy: FeedbackPolicy | None = None, shared: Resources | None = None) -> None:
        self.clock = testing.FrozenClock()
        self.store = testing.MemoryStore(self.clock)
        self.resources = shared or testing.resources(self.store, self.clock)
        experiments = ExperimentPolicy(experiments={"e": TRIAL}, exclude_tenants=("canary",))
        given = (policy or FeedbackPolicy(remember="all"), experiments, TenantsPolicy(), ModelsPolicy())
        self.set = testing.policies(*given)
        self.stage = FeedbackStage()
        self.upstream = Upstream(Assigner(self.resources.keyring))

    async def open(self) -> "House":
        await self.stage.start(self.resources)
        self.stage.accept(self.set)
        return self

    def exchange(self, path: str, body: Mapping[str, Any], tenant: str = "acme") -> Exchange:
        exchange = testing.exchange(path, body=body)
        exchange.policies, exchange.tenant = self.set, tenant
        return exchange

    def chat(self, *said: str, user: str = "ada", **more: Any) -> Exchange:
        """Make a chat of a user's; the second thing said is the assistant's, and so on."""
        roles = ("user", "assistant")
        messages = [
            {"role": roles[place % 2], "content": text} for place, text in enumerate(said or (QUESTION,))
        ]
        body = {"model": "auto", "messages": messages, **({"user": user} if user else {}), **more}
        return self.exchange("/v1/chat/completions", body)

    async def ask(self, exchange: Exchange) -> Exchange:
        """Ask, and read the answer to its end."""
        await testing.read(await self.stage.answer(exchange, self.upstream))
        self.clock.advance(1)
        return exchange

    async def rate(self, request_id: str, tenant: str = "acme", **said: Any) -> int:
        """Rate an answer, and give the status. Raises Refusal."""
        body = {"request_id": request_id, **(said or {"score": 1})}
        reply = await self.stage.answer(self.exchange("/v1/dac/feedback", body, tenant), self.upstream)
        return reply.status

    async def outcomes(self) -> list[Outcome]:
        """Take what is there to learn from, the lowest scores first."""
        await self.stage._desk.outcomes._flush()
        outcomes = Outcomes(self.resources.records, self.resources.keyring)
        found = await outcomes.waiting()
        await outcomes.drop(found)
        return sorted(found.values(), key=lambda each: (each.small or 0.0, each.large or 0.0))

    async def counts(self) -> Counts:
        """Give all arms' counts together."""
        await self.stage._desk.flush()
        whole = Counts()
        for counts in (await Totals(self.resources.records, self.resources.keyring).look()).values():
            whole.merge(counts)
        return whole
