"""The same unit always comes to the same arm; arms are balanced and experiments independent."""

import random

import pytest
from experiment_bits import KEYRING, experiment
from hypothesis import given
from hypothesis import strategies as st

from penstock import testing
from penstock.experiment.assign import BUCKETS, Assigner
from penstock.experiment.policy import Arm, Experiment
from penstock.stores.keyring import Keyring

ASSIGNER = Assigner(KEYRING)


def units(count, seed=0):
    rng = random.Random(seed)  # noqa: S311
    return [rng.randbytes(32) for _ in range(count)]


def weighted(*weights):
    return Experiment(arms={f"arm{place}": Arm(weight=weight) for place, weight in enumerate(weights)})


def chi_squared(counts, expected):
    return sum((seen - meant) ** 2 / meant for seen, meant in zip(counts, expected, strict=True))


@given(name=st.text("abc-", min_size=1), unit=st.binary(min_size=1, max_size=40))
def test_assignment_is_the_same_in_every_process(name, unit):
    its = weighted(1, 2, 3)
    assert ASSIGNER.place(name, its, unit) == Assigner(Keyring(bytes(32))).place(name, its, unit)


@pytest.mark.parametrize("weights", [(1, 1), (1, 9), (3, 2, 5), (0.1, 0.1, 0.1)])
def test_arms_are_as_large_as_their_weights_say(weights):
    its, count = weighted(*weights), 20_000
    seen = [ASSIGNER.place("e", its, unit).arm for unit in units(count)]
    counts = [seen.count(arm) for arm in its.arms]
    expected = [count * weight / sum(weights) for weight in weights]
    assert chi_squared(counts, expected) < 20  # beyond the 99.99 % point of three degrees of freedom


def test_experiments_are_independent_of_each_other():
    its = weighted(1, 1)
    pairs = [(ASSIGNER.place("a", its, unit).arm, ASSIGNER.place("b", its, unit).arm) for unit in units(8000)]
    counts = [pairs.count((a, b)) for a in its.arms for b in its.arms]
    assert chi_squared(counts, [2000] * 4) < 22


def test_buckets_are_even_within_an_arm():
    its = weighted(1, 1)
    places = [ASSIGNER.place("e", its, unit) for unit in units(16_000)]
    counts = [
        sum(1 for place in places if place.arm == "arm0" and place.bucket == each) for each in range(BUCKETS)
    ]
    assert chi_squared(counts, [sum(counts) / BUCKETS] * BUCKETS) < 80


def test_another_keyring_assigns_otherwise():
    its, other = weighted(1, 1), Assigner(Keyring(b"x" * 32))
    differ = sum(ASSIGNER.place("e", its, unit) != other.place("e", its, unit) for unit in units(200))
    assert differ > 50


def unit(kind, body=None, headers=None, **fields):
    exchange = testing.exchange(body=body, headers=headers)
    for name, value in fields.items():
        setattr(exchange, name, value)
    return ASSIGNER.unit(exchange, kind)


def chat(*said, **fields):
    roles = ("user", "assistant")
    messages = [{"role": roles[place % 2], "content": text} for place, text in enumerate(said)]
    return {"model": "m", "messages": messages, **fields}


def test_a_tenant_is_its_own_unit():
    assert unit("tenant", tenant="acme") == unit("tenant", chat("else"), tenant="acme")
    assert unit("tenant", tenant="acme") != unit("tenant", tenant="globex")


def test_a_user_is_the_keys_or_else_the_one_that_is_named():
    assert unit("user") is None
    named = unit("user", chat("a", user="ada"))
    assert named == unit("user", chat("b", user="ada"))
    assert named != unit("user", chat("a", user="bob"))
    assert named != unit("user", chat("a", user="ada"), tenant="acme")
    assert unit("user", chat("a", safety_identifier="ada", user="bob")) == unit(
        "user", chat("a", safety_identifier="ada")
    )
    by_key = unit("user", chat("a", user="ada"), user="ada")
    assert by_key == unit("user", user="ada")
    assert by_key != named  # what a body claims is nobody's key


@pytest.mark.parametrize("odd", [7, "", None, ["ada"], {"id": "ada"}])
def test_a_user_that_is_no_word_is_nobody(odd):
    assert unit("user", chat("a", user=odd)) is None


def test_a_thread_is_what_the_client_says_or_how_it_began():
    first = unit("thread", chat("hello"))
    assert first == unit("thread", chat("hello", "hi", "more"))
    assert first != unit("thread", chat("hello there"))
    assert first != unit("thread", chat("hello", user="ada"))
    named = unit("thread", chat("a"), {"X-DAC-Thread": "t1"})
    assert named == unit("thread", chat("b"), {"X-DAC-Thread": "t1"})
    assert named != unit("thread", chat("a"), {"X-DAC-Thread": "t2"})
    assert named != unit("thread", chat("a"), {"X-DAC-Thread": "t1"}, tenant="acme")


def responses(**body):
    exchange = testing.exchange("/v1/responses", body={"model": "m", **body})
    return ASSIGNER.unit(exchange, "thread")


def test_a_responses_thread_is_its_conversation_or_its_first_input():
    assert responses(input="hello") == responses(input="hello", temperature=0)
    assert responses(input="hello") != responses(input="hello", instructions="be short")
    assert responses(conversation="c1", input="a") == responses(conversation={"id": "c1"}, input="b")
    assert responses(conversation="c1", input="a") != responses(conversation="c2", input="a")
    assert responses(previous_response_id="r", input="a") is None


@pytest.mark.parametrize("body", [{"messages": []}, {"messages": None}, {"messages": 7}, {}])
def test_odd_messages_break_nothing(body):
    unit("thread", {"model": "m", **body})


def test_completions_and_embeddings_have_threads_by_what_they_send():
    for path, field in (("/v1/completions", "prompt"), ("/v1/embeddings", "input")):
        one, other = (
            ASSIGNER.unit(testing.exchange(path, body={"model": "m", field: text}), "thread")
            for text in ("a", "b")
        )
        assert None not in (one, other)
        assert one != other


def test_a_unit_is_no_name():
    assert b"ada" not in (unit("user", chat("a", user="ada")) or b"")


def test_other_experiments_coming_and_going_move_nobody():
    its = experiment()
    before = [ASSIGNER.place("stays", its, each) for each in units(100)]
    for other in ("comes", "goes"):
        [ASSIGNER.place(other, its, each) for each in units(100)]
    assert [ASSIGNER.place("stays", its, each) for each in units(100)] == before
