"""Two answers without a label: the large one is right where both can be compared."""

from typing import Any

import msgspec
import pytest
from routing_house import of, refuse, stream_of

from penstock import testing
from penstock.openai import sse
from penstock.openai.request import Endpoint
from penstock.openai.sse import Event
from penstock.reply import Reply, Stream
from penstock.routing.answer_features import packed
from penstock.routing.cascade import Trust, judgement
from penstock.routing.compare import Collected, compared
from penstock.routing.features import Features, prompt_features
from penstock.routing.policy import Cascade
from penstock.routing.weights import NOTHING

NUMBER = "How many apples are left?"


def answer(content: Any, **fields: Any) -> Any:
    return {"choices": [{"message": {"content": content}, "finish_reason": "stop", **fields}]}


def compare(small: Any, large: Any, prompt: str = NUMBER, **body: Any) -> Any:
    request = testing.exchange(body={"messages": [], **body}).request
    return compared(request, prompt, prompt_features(prompt), small, large)


@pytest.mark.parametrize(
    ("small", "large", "score"),
    [
        ("7 apples", "The answer is 7", 1.0),
        ("8 apples", "The answer is 7", 0.0),
        ("many", "The answer is 7", 0.0),
        ("7", "I cannot tell", None),
        ("many", "a lot", None),
    ],
)
def test_numbers(small, large, score):
    found = compare(answer(small), answer(large))
    assert (found and (found.small, found.large)) == (None if score is None else (score, 1.0))


def test_a_large_answer_that_passes_beats_a_small_one_that_does_not():
    long = "word " * 40
    assert compare(answer(long), answer(long + "more"), "tell me") is None
    assert compare(answer("", finish_reason="length"), answer(long), "tell me").small == 0.0
    assert compare(answer(long), answer("", finish_reason="length"), "tell me") is None


def test_what_cannot_be_read_is_not_compared():
    assert compare({"choices": []}, answer("7")) is None
    assert compare(answer("7"), {}) is None


def test_what_is_kept_of_the_small_answer_are_hashes_of_it():
    one, other = compare(answer("7 MARKER"), answer("7")), compare(answer("7 pears"), answer("7"))
    assert one.answer_features != other.answer_features
    assert b"MARKER" not in one.answer_features
    words, options, shape = msgspec.msgpack.decode(
        one.answer_features, type=tuple[set[int], set[int], set[int]]
    )
    prompt = prompt_features(NUMBER)
    assert Features(words, options, shape).words == prompt.words
    assert options > prompt.options


def test_they_are_those_that_a_judgement_of_the_answer_alone_sees():
    judged = judgement(
        of(Cascade), testing.exchange(body={}).request, NUMBER, prompt_features(NUMBER), answer("7"),
        Trust(NOTHING), None,
    )  # fmt: skip
    assert compare(answer("7"), answer("7")).answer_features == packed(judged.features)


async def collect(batches: Any) -> list[Any]:
    told: list[Any] = []
    reply = Reply(200, stream=Stream(testing.Events(batches)))
    await testing.read(reply.observed_by(Collected(Endpoint.CHAT, told.append)))
    return told


async def test_a_whole_stream_is_collected_and_nothing_else():
    (told,) = await collect(stream_of("a b"))
    assert told["choices"][0]["message"]["content"] == "a b"
    assert await collect([*stream_of("a b")[:1], refuse()]) == []


async def test_a_stream_that_is_too_long_is_not_collected():
    long = [Event(b"data: " + b"x" * 1024 + b"\n\n")]
    assert await collect([*[long] * 300, [sse.done()]]) == []
