"""The feedback stage: what it remembers, what clients may say of it, and what their behaviour says."""

import asyncio

import pytest
from feedback_stage_house import LEARNED, QUESTION, House

from penstock import testing
from penstock.errors import Refusal
from penstock.experiment.policy import ExperimentPolicy
from penstock.feedback.policy import FeedbackPolicy, Signs
from penstock.routing.policy import Alias, Candidate, RoutingPolicy
from penstock.stages.feedback import FeedbackStage

LIKE = QUESTION + " please"
OTHER = "what is the capital of Mongolia and how many people live there"


@pytest.fixture
async def home():
    house = await House().open()
    yield house
    await house.stage.stop()


async def refusal(home, request_id, **how):
    with pytest.raises(Refusal) as told:
        await home.rate(request_id, **how)
    return told.value


async def test_a_rating_joins_its_decision(home):
    asked = await home.ask(home.chat())
    assert await home.rate(asked.id, score=0.25) == 204
    (outcome,) = await home.outcomes()
    assert (outcome.tenant, outcome.alias, outcome.learned) == ("acme", "auto", LEARNED)
    assert (outcome.small, outcome.large) == (0.25, None)
    quality = (await home.counts()).sample("quality")
    assert (quality.n, quality.mean) == (1, 0.25)


async def test_it_goes_no_further(home):
    asked = await home.ask(home.chat())
    await home.rate(asked.id)
    await refusal(home, "req_unknown")
    await refusal(home, asked.id, score=7)
    assert len(home.upstream.seen) == 1


async def test_another_process_takes_it(home):
    asked = await home.ask(home.chat())
    await home.stage._desk.flush()
    other = await House(shared=home.resources).open()
    assert await other.rate(asked.id, label="bad") == 204
    await other.stage.stop()
    assert [each.small for each in await home.outcomes()] == [0.0]


async def test_the_id_is_the_one_that_the_client_was_told(home):
    def answer():
        reply = testing.chat("hi")()
        reply.headers["x-request-id"] = "req-of-the-upstream"
        return reply

    home.upstream.answer = answer
    asked = await home.ask(home.chat())
    assert await home.rate("req-of-the-upstream") == 204
    assert (await refusal(home, asked.id)).status == 404


async def test_no_other_tenant_can_rate_it(home):
    asked = await home.ask(home.chat())
    told = await refusal(home, asked.id, tenant="globex")
    unknown = await refusal(home, "req_unknown", tenant="globex")
    assert (told.status, told.code, told.param) == (404, "unknown_request", "/request_id")
    assert told.body() == unknown.body()  # it can't even learn that there is one
    assert await home.outcomes() == []


async def test_only_the_first_rating_counts(home):
    asked = await home.ask(home.chat())
    for score in (1.0, 0.0):
        assert await home.rate(asked.id, score=score) == 204
    await asyncio.gather(*(home.rate(asked.id) for _ in range(5)))
    await home.stage._desk.flush()
    assert await home.rate(asked.id) == 204
    assert [each.small for each in await home.outcomes()] == [1.0]


async def test_two_at_once_count_once(home):
    asked = await home.ask(home.chat())
    await home.stage._desk.flush()
    assert await asyncio.gather(*(home.rate(asked.id) for _ in range(5))) == [204] * 5
    assert len(await home.outcomes()) == 1


async def test_after_its_time_it_is_unknown(home):
    asked = await home.ask(home.chat())
    await home.stage._desk.flush()
    home.clock.advance(FeedbackPolicy().remember_s + 1)
    assert (await refusal(home, asked.id)).status == 404


async def test_an_ephemeral_exchange_leaves_nothing(home):
    exchange = home.chat()
    exchange.ephemeral = True
    await home.ask(exchange)
    again = home.chat()
    again.ephemeral = True
    await home.ask(again)
    assert (await refusal(home, exchange.id)).status == 404
    assert await home.outcomes() == []
    assert home.store.entries == {}
    assert len(home.stage._desk.threads) == 0


async def test_nothing_that_was_said_is_kept(home):
    asked = await home.ask(home.chat("my secret is swordfish"))
    decided = await home.stage._desk.notebook.find("acme", asked.id)
    assert "swordfish" not in repr(decided)
    assert "ada" not in repr(decided)


async def test_what_was_refused_is_not_remembered(home):
    home.upstream.answer = testing.chat("no", status=429)
    asked = await home.ask(home.chat())
    assert (await refusal(home, asked.id)).status == 404


async def test_a_stream_is_remembered_at_its_end(home):
    home.upstream.answer = testing.chat_stream("a", "b")
    asked = await home.ask(home.chat())
    assert await home.rate(asked.id) == 204
    home.upstream.answer = testing.chat_stream("a", ending=Refusal(502, "broken", "broken"))
    broken = await home.ask(home.chat(OTHER))
    assert (await refusal(home, broken.id)).status == 404


async def test_a_store_that_is_gone_is_said_and_nothing_goes_upstream(home):
    home.store.gone = True
    told = await refusal(home, "req_unknown")
    assert (told.status, told.code) == (503, "feedback_unavailable")
    asked = await home.ask(home.chat())  # requests go on
    home.store.gone = False
    assert await home.rate(asked.id) == 204


async def test_a_fault_of_ours_sends_no_feedback_upstream(home, monkeypatch):
    def broken(*_):
        raise RuntimeError("broken")

    asked = await home.ask(home.chat())
    monkeypatch.setattr(home.stage._desk.notebook, "find", broken)
    assert (await refusal(home, asked.id)).status == 503
    assert len(home.upstream.seen) == 1


async def signs(home):
    """Give what was learned of the small model, and of the large one where it answered."""
    return [round(each.small if each.small is not None else -each.large, 3) for each in await home.outcomes()]


async def test_asking_again_much_the_same_is_a_sign(home):
    await home.ask(home.chat())
    await home.ask(home.chat(QUESTION, "like so", LIKE))
    assert await signs(home) == [0.3]
    unhappy = (await home.counts()).sample("unhappy")
    assert (unhappy.n, unhappy.total) == (0, 0.4)  # the request itself is the experiment stage's to count


async def test_going_on_is_a_good_sign_that_makes_nobody_unhappy(home):
    await home.ask(home.chat())
    await home.ask(home.chat(QUESTION, "like so", OTHER))
    assert await signs(home) == [0.6]
    assert (await home.counts()).metrics == {}


async def test_an_edit_is_a_sign(home):
    await home.ask(home.chat(QUESTION, "like so", "and now"))
    await home.ask(home.chat(QUESTION, "like so", OTHER))
    assert await signs(home) == [0.3]


async def test_the_same_request_answered_anew_is_a_sign(home):
    await home.ask(home.chat())
    await home.ask(home.chat())
    assert await signs(home) == [0.2]


async def test_the_same_request_answered_from_the_cache_is_none(home):
    await home.ask(home.chat())
    home.upstream.attempts = 0
    await home.ask(home.chat())
    assert await signs(home) == []


async def test_different_users_do_not_repeat_each_other(home):
    await home.ask(home.chat(user="ada"))
    await home.ask(home.chat(user="bob"))
    await home.ask(home.chat(user=""))
    await home.ask(home.chat(user=""))  # nobody says that these are one
    assert await signs(home) == []


async def test_leaving_in_the_middle_is_a_sign(home):
    home.upstream.answer = testing.chat_stream("a", "b")
    reply = await home.stage.answer(home.chat(), home.upstream)
    batches = reply.stream.batches()
    await anext(batches)
    await batches.aclose()
    assert await signs(home) == [0.4]


async def test_an_escalation_is_about_the_small_model(home):
    home.upstream.models, home.upstream.attempts = ["small", "large"], 2
    await home.ask(home.chat())
    (outcome,) = await home.outcomes()
    assert (outcome.small, outcome.large) == (0.35, None)
    decided = await home.ask(home.chat(OTHER))
    await home.rate(decided.id, score=0.75)
    assert [each.large for each in await home.outcomes() if each.small is None] == [0.75]


async def test_a_fallback_is_a_sign_but_counts_in_no_arm(home):
    home.upstream.attempts = 2
    asked = await home.ask(home.chat())
    await home.rate(asked.id)
    assert await signs(home) == [0.45, 1.0]
    assert (await home.counts()).metrics == {}


async def test_a_request_is_unhappy_once(home):
    home.upstream.models, home.upstream.attempts = ["small", "large"], 2
    await home.ask(home.chat())
    home.upstream.models, home.upstream.attempts = ["small"], 1
    await home.ask(home.chat())
    assert await signs(home) == [-0.2, 0.35]
    assert (await home.counts()).sample("unhappy").total == 0.3


async def test_after_a_tools_loop_the_last_answer_is_judged(home):
    await home.ask(home.chat())
    loop = home.chat(QUESTION, "calling")
    loop.request.body["messages"].append({"role": "tool", "content": "42", "tool_call_id": "c"})
    home.upstream.models, home.upstream.attempts = ["small", "large"], 2
    await home.ask(loop)
    await home.ask(home.chat(QUESTION, "like so", LIKE))
    assert -0.3 in await signs(home)  # of the large model, which answered last


async def test_a_sign_without_weight_is_not_looked_for():
    none = Signs(went_on=0, re_ask=0, edited=0, regenerated=0, abandoned=0, escalated=0, fallback=0)
    home = await House(FeedbackPolicy(signs=none, remember="all")).open()
    home.upstream.models, home.upstream.attempts = ["small", "large"], 3
    for _ in range(2):
        await home.ask(home.chat())
    assert await signs(home) == []
    assert len(home.stage._desk.threads) == 0
    await home.stage.stop()


async def test_canaries_and_what_everyone_got_count_in_no_arm(home):
    canary = home.chat()
    canary.tenant = "canary"
    await home.ask(canary)
    await home.rate(canary.id, tenant="canary")

    async def promoted(exchange):
        reply = await home.upstream(exchange)
        (other,) = {"control", "treatment"} - {exchange.arms["e"]}
        exchange.arms["e"] = other
        return reply

    given = home.chat(OTHER)
    await home.stage.answer(given, promoted)
    await home.rate(given.id)
    assert (await home.counts()).metrics == {}
    assert len(await home.outcomes()) == 2  # who learns from them is not the experiment


async def test_what_was_written_behind_is_there_after_a_stop(home):
    asked = await home.ask(home.chat())
    await home.stage.stop()
    other = await House(shared=home.resources).open()
    assert await other.rate(asked.id) == 204
    await other.stage.stop()


def plan(path, body=None, *, ephemeral=False):
    exchange = testing.exchange(path, body=body, given=[FeedbackPolicy(remember="all")])
    exchange.ephemeral = ephemeral
    return FeedbackStage().plan(exchange).action


def test_the_plan_says_what_a_request_is():
    assert plan("/v1/dac/feedback") == "rate"
    assert plan("/v1/chat/completions") == "remember"
    assert plan("/v1/chat/completions", ephemeral=True) == "pass"
    assert plan("/v1/files") == "pass"


async def test_a_stage_that_never_started_passes_and_stops():
    exchange = testing.exchange(given=[FeedbackPolicy(remember="all"), ExperimentPolicy()])
    reply = await testing.run_stage(FeedbackStage(), exchange, testing.FakeUpstream(testing.chat("hi")))
    assert reply.status == 200
    await FeedbackStage().stop()


@pytest.mark.parametrize(
    ("given", "action"),
    [
        ([], "pass"),
        ([RoutingPolicy(aliases={"m": Alias(candidates=(Candidate(model="m"),))})], "remember"),
    ],
)
def test_only_what_somebody_learns_from_is_remembered(given, action):
    exchange = testing.exchange(given=[FeedbackPolicy(), ExperimentPolicy(), *given])
    assert FeedbackStage().plan(exchange).action == action


async def test_where_nobody_learns_a_request_passes_and_feedback_is_still_taken():
    home = await House(FeedbackPolicy()).open()
    asked = await home.ask(home.chat())
    idle = testing.policies(FeedbackPolicy(), ExperimentPolicy())
    home.stage.accept(idle)
    live, home.set = home.set, idle
    passed = await home.ask(home.chat())
    assert [each.reason for each in passed.decisions] == ["nobody learns from it"]
    assert (await refusal(home, passed.id)).status == 404
    assert await home.rate(asked.id) == 204  # of before
    seen = len(home.upstream.seen)
    assert (await refusal(home, "req_unknown")).status == 404
    assert len(home.upstream.seen) == seen
    home.set = live  # an exchange keeps the set that it started with
    kept = await home.ask(home.chat())
    assert kept.decisions[0].action == "remember"
    await home.stage.stop()
