"""Which arms of an answer may be rated, and where a rating goes."""

import pytest
from experiment_bits import KEYRING, experiment, policies

from penstock import testing
from penstock.exchange import Call
from penstock.experiment.assign import Assigner
from penstock.experiment.policy import ExperimentPolicy
from penstock.experiment.rated import Ratings
from penstock.experiment.tally import Cell
from penstock.experiment.totals import Totals
from penstock.openai.usage import Usage
from penstock.stores.memory import MemoryRecords

TRIAL = experiment()
LIVE = policies(ExperimentPolicy(experiments={"e": TRIAL}, exclude_tenants=("canary",)))


@pytest.fixture
def records():
    return MemoryRecords()


@pytest.fixture
def ratings(records):
    return Ratings(records, KEYRING, testing.FrozenClock())


def place(exchange):
    assigner = Assigner(KEYRING)
    return assigner.place("e", TRIAL, assigner.unit(exchange, "user"))


def answered(**fields):
    """Give an exchange that was answered in its arm."""
    exchange = testing.exchange(
        body={"model": "m", "messages": [{"role": "user", "content": "hi"}], "user": "ada"}
    )
    exchange.policies, exchange.attempts = LIVE, 1
    exchange.calls = [Call("m", Usage(1_000_000, 0))]
    exchange.arms = {"e": place(exchange).arm}
    for name, value in fields.items():
        setattr(exchange, name, value)
    return exchange


def test_an_answers_arm_may_be_rated(ratings):
    exchange = answered()
    its = place(exchange)
    assert ratings.arms(exchange, exchange.request) == [("e", TRIAL.digest, its.arm, its.bucket)]


def test_it_is_the_request_that_came_that_says_whose_it_is(ratings):
    exchange = answered()
    came, exchange.request = exchange.request, testing.exchange().request
    assert ratings.arms(exchange, exchange.request) == []
    assert len(ratings.arms(exchange, came)) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"attempts": 0},
        {"attempts": 2},
        {"tenant": "canary"},
        {"arms": {"gone": "control"}},
        {"arms": {"e": "neither"}},
        {"arms": {}},
    ],
    ids=["a hit", "a failover", "excluded", "gone", "given to everyone", "none"],
)
def test_what_the_arms_do_not_count_cant_be_rated_for_them(ratings, fields):
    exchange = answered(**fields)
    assert not ratings.arms(exchange, exchange.request)


async def test_ratings_and_signs_are_added_to_their_arms(ratings, records):
    arms = [("e", TRIAL.digest, "control", 3)]
    ratings.rated(arms, 0.25)
    ratings.unhappy(arms, 0.5)
    await ratings.flush()
    counts = (await Totals(records, KEYRING).look())[Cell("e", TRIAL.digest, "control")]
    quality, unhappy = counts.sample("quality"), counts.sample("unhappy")
    assert (quality.n, quality.total, quality.buckets[3]) == (1, 0.25, (1, 0.25))
    assert (unhappy.n, unhappy.total) == (0, 0.5), "the request itself was counted when it ended"
    assert counts.requests == 0


def test_threads_and_who_is_known(ratings):
    one, other = answered(), answered()
    assert ratings.thread(one, one.request) == ratings.thread(other, other.request) is not None
    assert ratings.known(one, one.request)
    nobody = testing.exchange()
    assert not ratings.known(nobody, nobody.request)


def test_the_cost_is_that_of_all_calls(ratings):
    assert ratings.cost_usd(answered()) == 1.0
    assert ratings.cost_usd(answered(calls=[Call("m", None)])) is None
