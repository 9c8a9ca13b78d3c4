"""The experiment stage: who is in which arm, what holds there, what is counted, and what stops it."""

import asyncio
import re

import pytest
from experiment_stage_house import House, setup

from penstock import testing
from penstock.errors import Refusal, StartError
from penstock.experiment.policy import ExperimentPolicy, Guardrail
from penstock.experiment.verdicts import Verdict
from penstock.stages.cache import CachePolicy
from penstock.stages.experiment import Experiment
from penstock.tenants.policy import Tenant, TenantsPolicy

CACHE_600 = {"cache": {"ttl_s": 600}}


async def house(*given, **experiments):
    return await House(*given, **experiments).open()


async def test_a_request_gets_its_arms_settings_and_is_told():
    home = await house(e=setup(CACHE_600))
    for arm, ttl_s in (("treatment", 600), ("control", 3600)):
        exchange = home.exchange(await home.user_in(arm))
        await home.ask(exchange)
        assert exchange.arms == {"e": arm}
        assert exchange.answer_headers["x-dac-experiment"] == f"e={arm}"
        assert home.upstream.seen[-1][CachePolicy].ttl_s == ttl_s
        assert exchange.decisions[-1].action == "assign"
    assert home.set[CachePolicy].ttl_s == 3600
    await home.stage.stop()


async def test_several_experiments_are_assigned_at_once():
    home = await house(a=setup(CACHE_600), b=setup({"cache": {"several_choices": True}}))
    exchange = home.exchange()
    await home.ask(exchange)
    assert exchange.answer_headers["x-dac-experiment"] == ",".join(
        f"{name}={arm}" for name, arm in exchange.arms.items()
    )
    live = exchange.policies[CachePolicy]
    assert (live.ttl_s == 600) == (exchange.arms["a"] == "treatment")
    assert live.several_choices == (exchange.arms["b"] == "treatment")


async def test_two_processes_assign_alike():
    one = await house(e=setup())
    two = await House(shared=one.resources, e=setup()).open()
    for number in range(50):
        pair = [home.exchange(f"u{number}") for home in (one, two)]
        for home, exchange in zip((one, two), pair, strict=True):
            home.stage.plan(exchange)
        assert pair[0].arms == pair[1].arms


async def test_who_has_no_unit_or_no_part_is_in_no_arm():
    tenants = TenantsPolicy(tenants={"acme": Tenant()})
    home = await house(tenants, e=setup(CACHE_600, tenants=("acme",)))
    stranger = home.exchange()
    await home.ask(stranger)
    nobody = home.exchange(user="")
    nobody.tenant = "acme"
    await home.ask(nobody)
    for exchange in (stranger, nobody):
        assert exchange.arms == {}
        assert exchange.policies is home.set
        assert "x-dac-experiment" not in exchange.answer_headers
        assert exchange.decisions[-1].action == "pass"
    part = home.exchange()
    part.tenant = "acme"
    await home.ask(part)
    assert part.arms


async def test_other_endpoints_pass():
    home = await house(e=setup(CACHE_600, unit="tenant"))
    exchange = home.exchange(path="/v1/files")
    await home.ask(exchange)
    assert exchange.arms == {}


async def test_what_is_asked_costs_and_fails_is_counted():
    home = await house(e=setup())
    user = await home.user_in("treatment")
    await home.ask(home.exchange(user))
    home.upstream.fails = lambda exchange: True
    with pytest.raises(Refusal):
        await home.ask(home.exchange(user))
    counts = (await home.report()).counts["treatment"]
    assert counts.requests == 2
    assert counts.sample("error").mean == 0.5
    assert (counts.sample("cost_usd").total, counts.sample("latency_s").total) == (1.0, 1.0)
    assert (await home.report()).counts["control"].requests == 0


async def test_a_stream_is_counted_at_its_end():
    home = await house(e=setup())
    user = await home.user_in("control")
    home.upstream.answer = testing.chat_stream("a", "b")
    reply = await home.stage.answer(home.exchange(user), home.upstream)
    assert (await home.report()).counts["control"].requests == 0
    home.clock.advance(4)
    await testing.read(reply)
    assert (await home.report()).counts["control"].sample("latency_s").total == 5
    home.upstream.answer = testing.chat_stream("a", ending=Refusal(502, "broken", "broken"))
    await home.ask(home.exchange(user))
    assert (await home.report()).counts["control"].sample("error").total == 1


async def test_a_client_that_left_says_nothing_about_the_arm():
    home = await house(e=setup())
    home.upstream.answer = testing.chat_stream("a", "b")
    reply = await home.stage.answer(home.exchange(), home.upstream)
    await reply.aclose()

    async def never(exchange):
        await asyncio.sleep(60)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await home.stage.answer(home.exchange(), never)
    told = await home.report()
    assert sum(counts.excluded for counts in told.counts.values()) == 2
    assert all(not counts.metrics for counts in told.counts.values())


async def test_failovers_hits_and_canaries_are_not_in_the_metrics():
    policy = ExperimentPolicy(experiments={"e": setup()}, exclude_tenants=("canary",))
    home = await house(policy)
    user = await home.user_in("control")
    failover = home.exchange(user)
    failover.attempts = 1
    await home.ask(failover)
    canary = home.exchange(user)
    canary.tenant = "canary"
    await home.ask(canary)
    assert canary.arms  # it goes the way of an arm all the same

    async def from_cache(exchange):
        return testing.chat("kept")()

    await home.stage.answer(home.exchange(user), from_cache)
    counts = (await home.report()).counts["control"]
    assert (counts.requests, counts.hits, counts.excluded, counts.metrics) == (2, 1, 1, {})


async def test_ephemeral_requests_count_in_the_totals():
    home = await house(e=setup())
    exchange = home.exchange(await home.user_in("control"))
    exchange.ephemeral = True
    await home.ask(exchange)
    assert (await home.report()).counts["control"].sample("error").n == 1


async def fail_in(home, arm, requests=60):
    home.upstream.fails = lambda exchange: exchange.arms.get("e") == arm
    for number in range(3 * requests):
        try:
            await home.ask(home.exchange(f"u{number}"))
        except Refusal:
            continue


async def test_a_guardrail_stops_the_experiment_for_everyone():
    guarded = setup(CACHE_600, guardrails={"error": Guardrail(worse_by=0.02)})
    home = await house(e=guarded)
    other = await House(shared=home.resources, e=guarded).open()
    user = await home.user_in("treatment")
    await fail_in(home, "treatment")
    told = await home.report()
    assert told.verdict is not None
    assert (told.verdict.state, told.verdict.by, told.verdict.arm) == ("stopped", "guardrail", "control")
    assert re.match(r"treatment: error 1 beside 0, a difference of \+1", told.verdict.evidence)
    async with asyncio.timeout(2):  # the other one polls
        while other.stage._judge.verdicts.known == {}:  # noqa: ASYNC110 - it looks by itself
            await asyncio.sleep(0.02)
    for place in (home, other):
        exchange = place.exchange(user)
        place.stage.plan(exchange)
        assert exchange.arms == {"e": "control"}
        assert exchange.policies[CachePolicy].ttl_s == 3600
    before = (await home.report()).counts["control"].requests
    home.upstream.fails = lambda exchange: False
    await home.ask(home.exchange(user))
    assert (await home.report()).counts["control"].requests == before  # counted no more
    await home.stage.stop()
    await other.stage.stop()


async def test_a_control_that_fails_stops_nothing():
    home = await house(e=setup(guardrails={"error": Guardrail(worse_by=0.02)}))
    await fail_in(home, "control")
    assert (await home.report()).verdict is None


async def test_a_promoted_arm_is_everyones_even_without_a_unit():
    home = await house(e=setup(CACHE_600))
    await home.stage._judge.verdicts.put("e", Verdict("promoted", "treatment", "cli", 1.0))
    for user in ("", "ada", "bob"):
        exchange = home.exchange(user)
        await home.ask(exchange)
        assert exchange.arms == {"e": "treatment"}
        assert exchange.policies[CachePolicy].ttl_s == 600


async def test_a_verdict_for_an_arm_that_is_gone_means_the_control():
    home = await house(e=setup(CACHE_600))
    await home.stage._judge.verdicts.put("e", Verdict("promoted", "gone", "cli", 1.0))
    exchange = home.exchange()
    await home.ask(exchange)
    assert exchange.arms == {"e": "control"}


async def test_an_exchange_keeps_the_policies_it_started_with():
    home = await house(e=setup(CACHE_600))
    exchange = home.exchange(await home.user_in("treatment"))
    home.stage.accept(testing.policies(ExperimentPolicy(), CachePolicy(), TenantsPolicy()))
    await home.ask(exchange)
    assert exchange.policies[CachePolicy].ttl_s == 600


async def test_bad_arms_are_no_policies():
    with pytest.raises(StartError, match=r"cache\.yaml"):
        await house(e=setup({"cache": {"ttl_s": "x"}}))


async def test_a_lost_store_stops_no_request():
    home = await house(e=setup())
    home.resources.records.gone = True
    await home.ask(home.exchange())
    await home.stage.stop()


def test_the_plan_of_a_stage_that_never_started_names_the_experiments():
    exchange = testing.exchange(given=[ExperimentPolicy(experiments={"e": setup()})])
    decision = Experiment().plan(exchange)
    assert (decision.action, decision.reason) == ("assign", "e")
    assert exchange.arms == {}
    nothing = testing.exchange(given=[ExperimentPolicy()])
    assert Experiment().plan(nothing).action == "pass"


async def test_a_stage_that_never_started_stops_and_answers():
    exchange = testing.exchange(given=[ExperimentPolicy()])
    reply = await testing.run_stage(Experiment(), exchange, testing.FakeUpstream(testing.chat("hi")))
    assert reply.status == 200
    await Experiment().stop()


async def test_without_experiments_a_request_passes_as_it_is():
    home = await house()
    exchange = home.exchange()
    assert home.stage.plan(exchange).reason == "no experiment"
    await home.ask(exchange)
    assert exchange.policies is home.set
    assert [each.reason for each in exchange.decisions] == ["no experiment"]


async def test_an_experiment_that_comes_is_not_taken_for_none_and_one_that_goes_is():
    home = await house()
    without, home.set = home.set, (await house(e=setup())).set
    home.stage.accept(home.set)
    for live, arms in ((home.set, 1), (without, 0)):
        home.stage.accept(live)
        for said in (home.set, without):  # an exchange keeps the set that it started with
            exchange = home.exchange()
            exchange.policies = said
            await home.ask(exchange)
            assert len(exchange.arms) == (said is home.set), (arms, said)
