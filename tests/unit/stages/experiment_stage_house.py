"""An experiment stage on records in memory, with an upstream behind it that costs and may fail."""

from collections.abc import Callable
from typing import Any

from penstock import testing
from penstock.errors import Refusal
from penstock.exchange import Call, Exchange
from penstock.experiment.policy import Arm, ExperimentPolicy
from penstock.experiment.policy import Experiment as Setup
from penstock.experiment.report import Report, report
from penstock.experiment.totals import Totals
from penstock.models.policy import Model, ModelsPolicy
from penstock.openai.usage import Usage
from penstock.policy.base import Policy, PolicySet
from penstock.reply import Reply
from penstock.stage import Resources
from penstock.stages.cache import CachePolicy
from penstock.stages.experiment import Experiment
from penstock.tenants.policy import TenantsPolicy

MODELS = ModelsPolicy(
    models={"m": Model(input_usd_per_million=1.0, output_usd_per_million=4.0, context_tokens=8_000)}
)


def setup(treatment: Any = None, **said: Any) -> Setup:
    """Give two arms, the second with these settings."""
    arms = {"control": Arm(), "treatment": Arm(set=treatment or {})}
    return Setup(**{"arms": arms, "min_sample": 50, **said})


class Upstream:
    """The rest of the road: each call takes a second, costs a dollar and answers what it is told."""

    def __init__(self, clock: testing.FrozenClock, answer: Callable[[], Reply] | None = None) -> None:
        self.clock = clock
        self.answer = answer or testing.chat("hi")
        self.seen: list[PolicySet] = []
        self.fails: Callable[[Exchange], bool] = lambda exchange: False

    async def __call__(self, exchange: Exchange) -> Reply:
        self.seen.append(exchange.policies)
        exchange.attempts += 1
        self.clock.advance(1)
        if self.fails(exchange):
            raise Refusal(502, "upstream_failed", "failed")
        exchange.calls.append(Call("m", Usage(1_000_000, 0)))
        return self.answer()


class House:
    """The stage, started on these policies; `other` is a second process on the same records."""

    def __init__(self, *given: Policy, shared: Resources | None = None, **experiments: Setup) -> None:
        self.clock = testing.FrozenClock()
        self.resources = shared or testing.resources(clock=self.clock)
        excluded = [each for each in given if isinstance(each, ExperimentPolicy)]
        policy = excluded[0] if excluded else ExperimentPolicy(experiments=experiments)
        others = [each for each in given if each is not policy]
        self.set = testing.policies(CachePolicy(), TenantsPolicy(), MODELS, policy, *others)
        self.stage = Experiment()
        self.upstream = Upstream(self.clock)

    async def open(self) -> "House":
        await self.stage.start(self.resources)
        self.stage.accept(self.set)
        return self

    def exchange(self, user: str = "ada", path: str = "/v1/chat/completions", **body: Any) -> Exchange:
        said = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "user": user, **body}
        exchange = testing.exchange(path, body=said)
        exchange.policies = self.set
        return exchange

    async def ask(self, exchange: Exchange) -> bytes:
        return await testing.read(await self.stage.answer(exchange, self.upstream))

    async def report(self, name: str = "e") -> Report:
        await self.stage._judge.look()
        totals = await Totals(self.resources.records, self.resources.keyring).look()
        verdicts = self.stage._judge.verdicts
        assert verdicts is not None
        its = self.set[ExperimentPolicy].experiments[name]
        return report(name, its, totals, verdicts.known.get(name))

    async def user_in(self, arm: str, name: str = "e") -> str:
        """Find a user in an arm."""
        for number in range(200):
            exchange = self.exchange(f"user{number}")
            self.stage.plan(exchange)
            if exchange.arms.get(name) == arm:
                return f"user{number}"
        raise AssertionError(arm)
