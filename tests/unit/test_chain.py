"""The chain calls its stages in order, guards each one, and never goes around a broken one silently."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from penstock import testing
from penstock.chain import Chain, ChainPolicy, chain_policy, in_order
from penstock.errors import Refusal, StageFailed, StartError
from penstock.exchange import Decision, Exchange
from penstock.openai.sse import Event
from penstock.policy.base import Finding, OnFailure, PolicySet, StagePolicy
from penstock.reply import Observer, Outcome, Reply
from penstock.stage import AnyStage, Proceed, Stage
from penstock.upstream.policy import UpstreamsPolicy

Answer = Callable[[Exchange, Proceed], Awaitable[Reply]]


class OuterPolicy(StagePolicy):
    file = "outer"


class InnerPolicy(StagePolicy):
    file = "inner"


class _Told(Stage[StagePolicy]):
    """A stage that does what the test says."""

    def __init__(self, answer: Answer | None = None) -> None:
        self._answer = answer

    async def answer(self, exchange: Exchange, proceed: Proceed) -> Reply:
        exchange.decide(self.name, "in")
        reply = await (self._answer(exchange, proceed) if self._answer else proceed(exchange))
        exchange.decide(self.name, "out")
        return reply

    def plan(self, exchange: Exchange) -> Decision:
        return Decision(self.name, "would")


class Outer(_Told):
    name = "outer"
    policy = OuterPolicy


class Inner(_Told):
    name = "inner"
    policy = InnerPolicy
    after = ("outer",)


class Upstream(_Told):
    name = "upstream"
    policy = UpstreamsPolicy
    skippable = False

    def __init__(self, rest: Callable[[Exchange], Awaitable[Reply]]) -> None:
        super().__init__(lambda exchange, _: rest(exchange))


def exchange_for(*order: str, outer: OnFailure = "reject", inner: OnFailure = "reject") -> Exchange:
    given = (ChainPolicy(order=order), OuterPolicy(on_failure=outer), InnerPolicy(on_failure=inner))
    return testing.exchange(given=given)


def chain_of(*stages: AnyStage, clock: testing.FrozenClock | None = None) -> Chain:
    return Chain({stage.name: stage for stage in stages}, clock or testing.FrozenClock())


def trace(exchange: Exchange) -> list[tuple[str, str]]:
    return [(decision.stage, decision.action) for decision in exchange.decisions]


ROAD = ("outer", "inner", "upstream")


async def test_stages_are_entered_in_the_policys_order_and_left_in_the_opposite_one() -> None:
    chain = chain_of(Outer(), Inner(), Upstream(testing.FakeUpstream(testing.chat("hi"))))
    exchange = exchange_for("inner", "outer", "upstream")
    await chain.answer(exchange)
    road = ["inner", "outer", "upstream"]
    assert trace(exchange) == [(name, "in") for name in road] + [(name, "out") for name in reversed(road)]


async def test_each_exchange_brings_its_own_order() -> None:
    chain = chain_of(Outer(), Inner(), Upstream(testing.FakeUpstream(testing.chat("hi"))))
    first, second = exchange_for(*ROAD), exchange_for("upstream")
    await asyncio.gather(chain.answer(first), chain.answer(second))
    assert trace(second) == [("upstream", "in"), ("upstream", "out")]
    assert len(trace(first)) == 6


async def test_a_road_without_an_end_is_refused() -> None:
    with pytest.raises(Refusal) as refused:
        await chain_of(Outer()).answer(exchange_for("outer"))
    assert refused.value.code == "no_upstream"


async def breaks(exchange: Exchange, proceed: Proceed) -> Reply:
    raise ValueError("sk-secret in the message")


async def breaks_after(exchange: Exchange, proceed: Proceed) -> Reply:
    await proceed(exchange)
    raise ValueError("sk-secret in the message")


@pytest.mark.parametrize("how", [breaks, breaks_after])
async def test_a_broken_stage_is_rejected_with_503_where_its_policy_says_so(how: Answer) -> None:
    exchange = exchange_for(*ROAD)
    chain = chain_of(Outer(), Inner(how), Upstream(testing.FakeUpstream(testing.chat("hi"))))
    with pytest.raises(StageFailed) as failed:
        await chain.answer(exchange)
    assert (failed.value.status, failed.value.code) == (503, "inner_unavailable")
    assert Decision("inner", "failed", "ValueError") in exchange.decisions
    assert "secret" not in str(exchange.decisions)
    assert b"secret" not in failed.value.body()


@pytest.mark.parametrize("how", [breaks, breaks_after])
async def test_a_broken_stage_is_skipped_and_the_upstream_is_asked_once(
    how: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    upstream = testing.FakeUpstream(testing.chat("hi"))
    exchange = exchange_for(*ROAD, inner="skip")
    reply = await chain_of(Outer(), Inner(how), Upstream(upstream)).answer(exchange)
    assert b"hi" in reply.body
    assert upstream.calls == 1
    assert Decision("inner", "skipped", "ValueError") in exchange.decisions
    assert "inner" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("policy", ["reject", "skip"])
async def test_a_refusal_passes_every_guard_and_is_nobodys_breakage(policy: OnFailure) -> None:
    refusal = Refusal(404, "model_not_found", "No such model.")
    exchange = exchange_for(*ROAD, outer=policy, inner=policy)
    with pytest.raises(Refusal) as got:
        await chain_of(Outer(), Inner(), Upstream(testing.FakeUpstream(refusal))).answer(exchange)
    assert got.value is refusal
    assert {action for _, action in trace(exchange)} == {"in"}


async def test_a_stage_that_breaks_over_a_refusal_does_not_ask_the_upstream_again() -> None:
    async def breaks_over_it(exchange: Exchange, proceed: Proceed) -> Reply:
        try:
            return await proceed(exchange)
        except Refusal:
            raise KeyError("while it noted the refusal") from None

    refusal = Refusal(429, "slow_down", "Later.")
    upstream = testing.FakeUpstream(refusal)
    exchange = exchange_for(*ROAD, inner="skip")
    with pytest.raises(Refusal) as got:
        await chain_of(Outer(), Inner(breaks_over_it), Upstream(upstream)).answer(exchange)
    assert got.value is refusal
    assert upstream.calls == 1


async def test_a_stage_may_proceed_again_or_not_at_all() -> None:
    async def twice(exchange: Exchange, proceed: Proceed) -> Reply:
        first = await proceed(exchange)
        return await proceed(exchange) if first.status == 500 else first

    async def never(exchange: Exchange, proceed: Proceed) -> Reply:
        return Reply(204)

    upstream = testing.FakeUpstream(testing.chat("no", status=500), testing.chat("yes"))
    assert b"yes" in (await chain_of(Inner(twice), Upstream(upstream)).answer(exchange_for(*ROAD[1:]))).body
    assert (await chain_of(Inner(never), Upstream(upstream)).answer(exchange_for(*ROAD[1:]))).status == 204
    assert upstream.calls == 2


class _Ending(Observer):
    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    async def ended(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


def watched(ending: _Ending) -> Callable[[], Reply]:
    return lambda: testing.chat_stream("a", "b")().observed_by(ending)


async def refuses_after(exchange: Exchange, proceed: Proceed) -> Reply:
    await proceed(exchange)
    raise Refusal(403, "not_this", "No.")


async def waits_after(exchange: Exchange, proceed: Proceed) -> Reply:
    await proceed(exchange)
    await asyncio.Event().wait()
    raise AssertionError


@pytest.mark.parametrize("how", [breaks_after, refuses_after, waits_after])
async def test_a_stream_that_a_stage_leaves_behind_is_let_go(how: Answer) -> None:
    ending = _Ending()
    chain = chain_of(Inner(how), Upstream(testing.FakeUpstream(watched(ending))))
    task = asyncio.create_task(chain.answer(exchange_for(*ROAD[1:])))
    for _ in range(5):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert ending.outcomes == [Outcome.ABANDONED]


async def test_a_client_that_leaves_is_no_breakage_and_finally_runs_from_the_inside_out() -> None:
    released: list[str] = []

    def holds(name: str) -> Answer:
        async def answer(exchange: Exchange, proceed: Proceed) -> Reply:
            try:
                return await proceed(exchange)
            finally:
                released.append(name)

        return answer

    async def hangs(exchange: Exchange) -> Reply:
        return await asyncio.get_running_loop().create_future()

    exchange = exchange_for(*ROAD, outer="skip", inner="skip")
    chain = chain_of(Outer(holds("outer")), Inner(holds("inner")), Upstream(hangs))
    task = asyncio.create_task(chain.answer(exchange))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert released == ["inner", "outer"]
    assert trace(exchange) == [("outer", "in"), ("inner", "in"), ("upstream", "in")]
    assert exchange.timings.keys() == {"outer", "inner", "upstream"}


async def test_each_stage_is_timed_without_what_lies_behind_it() -> None:
    clock = testing.FrozenClock()

    def takes(before_s: float, after_s: float) -> Answer:
        async def answer(exchange: Exchange, proceed: Proceed) -> Reply:
            clock.advance(before_s)
            reply = await proceed(exchange)
            clock.advance(after_s)
            return reply

        return answer

    async def upstream(exchange: Exchange) -> Reply:
        clock.advance(100)
        return Reply(200)

    exchange = exchange_for(*ROAD)
    stages = Outer(takes(1, 2)), Inner(takes(10, 20)), Upstream(upstream)
    await chain_of(*stages, clock=clock).answer(exchange)
    assert exchange.timings == pytest.approx({"outer": 3, "inner": 30, "upstream": 100})


class _BreaksAtB(Observer):
    def event(self, event: Event) -> Sequence[Event]:
        if b'"b"' in event.raw:
            raise ValueError("broken")
        return (event,)


async def observes(exchange: Exchange, proceed: Proceed) -> Reply:
    return (await proceed(exchange)).observed_by(_BreaksAtB())


async def test_the_guard_holds_inside_a_stream_and_each_stage_answers_for_its_own_observers() -> None:
    upstream = testing.FakeUpstream(testing.chat_stream("a", "b", "c"))
    chain = chain_of(Outer(), Inner(observes), Upstream(upstream))

    skips = exchange_for(*ROAD, outer="reject", inner="skip")
    assert (await testing.read(await chain.answer(skips))).count(b"data:") == 5
    assert ("inner", "skipped") in trace(skips)

    rejects = exchange_for(*ROAD, outer="skip", inner="reject")
    told = await testing.read(await chain.answer(rejects))
    assert told.endswith(b'"code":"inner_unavailable"}}\n\n')
    assert b'"c"' not in told
    assert ("inner", "failed") in trace(rejects)


def test_explain_asks_each_stage_for_its_plan_and_calls_nobody() -> None:
    upstream = testing.FakeUpstream(testing.chat("hi"))
    chain = chain_of(Outer(), Inner(), Upstream(upstream))
    planned = [decision.stage for decision in chain.explain(exchange_for(*ROAD))]
    assert planned == list(ROAD)
    assert upstream.calls == 0


def test_explain_ends_with_the_stage_that_would_refuse() -> None:
    class Refusing(Outer):
        def plan(self, exchange: Exchange) -> Decision:
            raise Refusal(400, "invalid", "Not like this.")

    chain = chain_of(Refusing(), Inner())
    assert list(chain.explain(exchange_for("outer", "inner"))) == [
        Decision("outer", "refuse", "400 invalid: Not like this.")
    ]


def findings(*order: str, upstream: OnFailure = "reject") -> list[Finding]:
    policy = chain_policy(KINDS)(order=order)
    upstreams = testing.policies()[UpstreamsPolicy].model_copy(update={"on_failure": upstream})
    policies: PolicySet = testing.policies(policy, OuterPolicy(), InnerPolicy(), upstreams)
    assert policies[ChainPolicy] is policy
    return list(policy.check(policies))


def test_a_sensible_order_has_nothing_to_find() -> None:
    assert findings(*ROAD) == []
    assert findings("inner", "upstream") == [], "`after` binds only stages that are there"


@pytest.mark.parametrize(
    ("order", "place", "message", "suggestion"),
    [
        (("outer", "iner", "upstream"), ("order", 1), "no stage is called 'iner'", "inner"),
        (("outer", "zzz", "upstream"), ("order", 1), "no stage is called 'zzz'", None),
        (("outer", "outer", "upstream"), ("order", 1), "'outer' stands here twice", None),
        (("inner", "outer", "upstream"), ("order", 0), "'inner' must stand after 'outer'", None),
        (("outer", "inner"), ("order",), "the last stage must be 'upstream'", None),
        ((), ("order",), "the last stage must be 'upstream'", None),
    ],
)
def test_an_order_that_makes_no_sense_is_found(
    order: tuple[str, ...], place: tuple[str | int, ...], message: str, suggestion: str | None
) -> None:
    assert findings(*order) == [Finding(place, message, suggestion)]


def test_a_stage_that_must_not_be_skipped_is_found_with_both_places() -> None:
    (found,) = findings(*ROAD, upstream="skip")
    assert found.message == "'upstream' can't be skipped when it fails"
    assert found.other == (UpstreamsPolicy, ("on_failure",))


def test_all_that_is_wrong_is_found_at_once() -> None:
    assert len(findings("inner", "nothing", "outer", "outer", upstream="skip")) == 4


KINDS: dict[str, type[AnyStage]] = {kind.name: kind for kind in (Outer, Inner, Upstream)}


@pytest.mark.parametrize(
    ("wanted", "order"),
    [
        ((), ("upstream",)),
        (("inner", "outer"), ROAD),
        (("upstream", "inner", "outer", "inner"), ROAD),
        (("inner",), ("inner", "upstream")),
    ],
)
def test_stages_asked_for_by_name_are_put_into_an_order_that_makes_sense(
    wanted: tuple[str, ...], order: tuple[str, ...]
) -> None:
    assert in_order(wanted, KINDS) == order
    assert findings(*in_order(wanted, KINDS)) == []


def test_a_stage_that_nobody_knows_is_no_start() -> None:
    with pytest.raises(StartError, match="no stage is called 'iner'; there are outer, inner, upstream"):
        in_order(("iner",), KINDS)
