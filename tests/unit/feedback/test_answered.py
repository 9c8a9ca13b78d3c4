"""One exchange, from its arrival to its end: what is remembered of it, and what it says of the one before."""

import pytest
from feedback_desk_house import LEARNED, House

from penstock import testing
from penstock.exchange import Call
from penstock.feedback.answered import Answered
from penstock.feedback.policy import FeedbackPolicy, Signs
from penstock.openai.usage import Usage
from penstock.reply import Outcome

QUESTION = "how do I sort a list of numbers in Python without changing it"
LIKE = QUESTION + " please"
OTHER = "what is the capital of Mongolia and how many people live there"
ARMS = [("e", "d", "control", 3)]


@pytest.fixture
async def home():
    house = House()
    yield house
    await house.desk.stop()


def arrives(home, *said, policy=None):
    """Let a request arrive; the second thing said is the assistant's, and so on."""
    roles = ("user", "assistant")
    messages = [{"role": roles[place % 2], "content": text} for place, text in enumerate(said or (QUESTION,))]
    exchange = testing.exchange(
        body={"model": "auto", "messages": messages}, given=[policy or FeedbackPolicy()]
    )
    exchange.tenant = "acme"
    answered = Answered(home.desk, exchange, home.clock)
    answered.request_id = exchange.id
    answered.meet()
    return answered, exchange


def answer(answered, exchange, models=("small",), attempts=None, *, left=False):
    exchange.calls = [Call(model, Usage(1, 1)) for model in models]
    exchange.attempts = len(models) if attempts is None else attempts
    exchange.escalated = len(models) > 1
    exchange.intent, exchange.learned = "code", LEARNED
    answered.remember(left=left)


async def turn(home, *said, **how):
    """Let a request arrive and be answered a second later."""
    answered, exchange = arrives(home, *said)
    home.clock.advance(1)
    answer(answered, exchange, **how)
    return exchange


def scores(home):
    """Give what was learned of the small model, and minus what was of the large one."""
    return [round(-each.large if each.small is None else each.small, 3) for each in home.taught]


async def test_what_was_decided_is_remembered(home):
    exchange = await turn(home, models=("small", "large"))
    decided = await home.desk.notebook.find("acme", exchange.id)
    assert (decided.alias, decided.models, decided.escalated) == ("auto", ["small", "large"], True)
    assert (decided.intent, decided.learned, decided.arms) == ("code", LEARNED, ARMS)
    assert (decided.latency_s, decided.cost_usd, decided.at) == (1.0, 0.5, home.clock.now())
    assert not decided.rated
    assert "sort" not in repr(decided)


async def test_the_model_asked_for_is_the_one_that_came(home):
    answered, exchange = arrives(home)
    exchange.request = exchange.request.with_fields(model="small")
    answer(answered, exchange)
    assert (await home.desk.notebook.find("acme", exchange.id)).alias == "auto"


@pytest.mark.parametrize(
    ("ending", "there"), [(Outcome.COMPLETE, 1), (Outcome.ABANDONED, 1), (Outcome.FAILED, 0)]
)
async def test_a_stream_is_remembered_unless_it_broke(home, ending, there):
    answered, exchange = arrives(home)
    exchange.learned = LEARNED
    await answered.ended(ending)
    assert (await home.desk.notebook.find("acme", exchange.id) is not None) == there
    assert scores(home) == ([0.4] if ending is Outcome.ABANDONED else [])


@pytest.mark.parametrize(
    ("second", "learned", "unhappy"),
    [
        ((QUESTION, "like so", LIKE), [0.3], [0.4]),
        ((QUESTION, "like so", OTHER), [0.6], []),
        ((LIKE,), [0.3], [0.4]),
        ((QUESTION,), [0.2], [0.6]),
        ((OTHER,), [], []),
    ],
    ids=["re-ask", "went on", "edited", "regenerated", "another thread of the same user"],
)
async def test_a_request_says_something_of_the_answer_before(home, second, learned, unhappy):
    await turn(home)
    await turn(home, *second)
    assert scores(home) == learned
    assert home.experiments.told == [("unhappy", ARMS, weight) for weight in unhappy]


async def test_a_repetition_that_the_cache_answered_is_no_sign(home):
    await turn(home)
    await turn(home, models=(), attempts=0)
    assert scores(home) == []


async def test_a_repetition_is_no_sign_before_it_is_answered(home):
    await turn(home)
    arrives(home)
    assert scores(home) == []


async def test_nobodys_requests_say_nothing(home):
    home.experiments.whose = None
    for _ in range(2):
        await turn(home)
    assert (scores(home), len(home.desk.threads)) == ([], 0)


async def test_two_that_only_begin_alike_are_not_one(home):
    home.experiments.is_known = False
    for _ in range(2):
        await turn(home)
    assert scores(home) == []


@pytest.mark.parametrize(
    ("how", "learned", "unhappy"),
    [
        ({"models": ("small", "large")}, [0.35], 0.3),
        ({"attempts": 2}, [0.45], 0.1),
        ({"left": True}, [0.4], 0.2),
        ({"models": ("small", "large"), "left": True}, [-0.4, 0.35], 0.3),
    ],
    ids=["escalated", "fallback", "left", "the worst of two"],
)
async def test_an_answer_says_something_of_itself(home, how, learned, unhappy):
    await turn(home, **how)
    assert sorted(scores(home)) == sorted(learned)
    assert home.experiments.told == [("unhappy", ARMS, unhappy)]


async def test_nobody_is_unhappy_twice_about_the_same(home):
    await turn(home, models=("small", "large"))
    await turn(home)
    assert [weight for _, _, weight in home.experiments.told] == [0.3]
    await turn(home, QUESTION, "like so", LIKE)  # about the second answer, which nobody has judged
    assert [weight for _, _, weight in home.experiments.told] == [0.3, 0.4]


async def test_a_tools_loop_is_one_turn(home):
    await turn(home)
    answered, exchange = arrives(home, QUESTION, "calling")
    exchange.request.body["messages"].append({"role": "tool", "content": "42", "tool_call_id": "c"})
    answered.meet()
    answer(answered, exchange, models=("small", "large"))
    home.taught.clear()
    await turn(home, QUESTION, "like so", LIKE)
    assert scores(home) == [-0.3], "the large model spoke last"


async def test_what_has_no_weight_is_not_looked_for(home):
    none = FeedbackPolicy(signs=Signs(**dict.fromkeys(Signs.model_fields, 0.0)))
    for _ in range(2):
        answered, exchange = arrives(home, policy=none)
        answer(answered, exchange, models=("small", "large"), attempts=3, left=True)
    assert (scores(home), home.experiments.told, len(home.desk.threads)) == ([], [], 0)
