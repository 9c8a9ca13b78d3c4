"""With the real cache behind it: an arm never sees another's entry, whatever is asked by whom and when."""

import asyncio
import json
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import testing
from penstock.chain import Chain, ChainPolicy
from penstock.exchange import Exchange
from penstock.experiment.policy import Arm, Experiment, ExperimentPolicy
from penstock.experiment.verdicts import Verdict
from penstock.models.policy import ModelsPolicy
from penstock.policy.base import StagePolicy
from penstock.reply import Reply
from penstock.stage import Proceed, Stage
from penstock.stages import cache, experiment
from penstock.tenants.policy import TenantsPolicy

USERS = [f"user{number}" for number in range(6)]
TEXTS = ["one", "two"]
Asks = Sequence[tuple[str, str, bool]]


class ArmsName(Stage[StagePolicy]):
    """An upstream whose answers say for which arms they were made."""

    name = "rest"
    policy = StagePolicy

    def __init__(self) -> None:
        self.calls = 0

    async def answer(self, exchange: Exchange, proceed: Proceed) -> Reply:
        self.calls += 1
        exchange.attempts += 1
        await asyncio.sleep(0)
        said = ",".join(f"{name}={arm}" for name, arm in sorted(exchange.arms.items()))
        if exchange.request.stream:
            return testing.chat_stream(said)()
        return testing.chat(said)()


class House:
    """The experiment and the cache, with what is behind them."""

    def __init__(self, *experiments: str) -> None:
        trials = {name: Experiment(arms={"control": Arm(), "b": Arm(), "c": Arm()}) for name in experiments}
        self.set = testing.policies(
            ExperimentPolicy(experiments=trials),
            cache.CachePolicy(),
            TenantsPolicy(),
            ModelsPolicy(),
            StagePolicy(),
            ChainPolicy(order=("experiment", "cache", "rest")),
        )
        self.rest = ArmsName()
        self.trial = experiment.Experiment()
        self.stages = {"experiment": self.trial, "cache": cache.Cache(), "rest": self.rest}
        self.chain = Chain(self.stages)

    async def open(self) -> "House":
        await self.chain.start(testing.resources())
        self.chain.accept(self.set)
        return self

    async def ask(self, user: str, text: str, stream: bool) -> Exchange:
        """Ask, and see that the answer was made for exactly the arms that asked."""
        body = {"model": "m", "messages": [{"role": "user", "content": text}], "user": user, "stream": stream}
        exchange = testing.exchange(body=body)
        exchange.policies = self.set
        answer = await testing.read(await self.chain.answer(exchange))
        said = ",".join(f"{name}={arm}" for name, arm in sorted(exchange.arms.items()))
        assert said
        assert text_of(answer) == said
        return exchange


def text_of(answer: bytes) -> str:
    """Give what an answer says, streamed or not; a stored stream may come in other pieces."""
    if not answer.startswith(b"data: "):
        return str(json.loads(answer)["choices"][0]["message"]["content"])
    lines = [line.removeprefix(b"data: ") for line in answer.splitlines() if line.startswith(b"data: {")]
    deltas = [choice["delta"] for line in lines for choice in json.loads(line)["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


asks = st.lists(st.tuples(st.sampled_from(USERS), st.sampled_from(TEXTS), st.booleans()), max_size=12)


@settings(max_examples=60, deadline=None)
@given(one_by_one=asks, at_once=asks)
def test_an_arm_never_sees_anothers_entry(one_by_one: Asks, at_once: Asks) -> None:
    async def work() -> None:
        house = await House("first", "second").open()
        for ask in one_by_one:
            await house.ask(*ask)
        await asyncio.gather(*(house.ask(*ask) for ask in at_once))
        await house.chain.stop()

    asyncio.run(work())


async def test_users_of_the_same_arms_do_share() -> None:
    house = await House("only").open()
    for user in USERS * 5:
        await house.ask(user, "one", False)
    arms = {(await house.ask(user, "one", False)).arms["only"] for user in USERS}
    assert len(arms) > 1
    assert house.rest.calls == len(arms)  # one call for each arm, however many ask
    await house.chain.stop()


async def test_after_a_stop_everyone_has_the_controls_entries() -> None:
    house = await House("only").open()
    for user in USERS:
        await house.ask(user, "one", False)
    assert house.trial._judge is not None
    await house.trial._judge.verdicts.put("only", Verdict("stopped", "control", "cli", 1.0))
    await house.ask(USERS[0], "one", False)
    before = house.rest.calls
    for user in USERS:
        exchange = await house.ask(user, "one", False)
        assert exchange.arms == {"only": "control"}
        assert exchange.answer_headers["x-dac-cache"] == "hit"
    assert house.rest.calls == before
    await house.chain.stop()
