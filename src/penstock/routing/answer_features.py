"""What the trust in an answer is learned from: the same features before a judgement and after an outcome."""

from collections.abc import Iterator
from math import log2

import msgspec

from penstock.routing.answer_shape import answer_shape
from penstock.routing.features import Features
from penstock.routing.gates import Judged
from penstock.routing.outcomes import Learned


def answer_features(prompt: str, features: Features, seen: Judged) -> Features:
    """Add an answer to the features of its prompt: its words, its shape, and how sure its tokens were."""
    return features.with_answer(seen.text, [*answer_shape(prompt, seen.text), *_sureness(seen)])


def packed(features: Features) -> bytes:
    """Give features as `Outcome.answer_features` holds them."""
    return msgspec.msgpack.encode(tuple(map(list, (features.words, features.options, features.shape))))


def with_answer(learned: bytes, answer: Features) -> bytes:
    """Add the features of a judged answer to what an exchange carries along; nothing where it may not."""
    if not learned:
        return b""
    told = msgspec.msgpack.decode(learned, type=Learned)
    beside = frozenset(answer.options - told.options), frozenset(answer.shape - told.shape)
    return msgspec.msgpack.encode(msgspec.structs.replace(told, answer=beside))


def answer_of(learned: Learned) -> bytes:
    """Give the features of the answer that was judged, as `packed` does; empty where none was."""
    if learned.answer is None:
        return b""
    options, shape = learned.answer
    return packed(Features(learned.words, learned.options | options, learned.shape | shape))


def _sureness(seen: Judged) -> Iterator[str]:
    """Name the mean log-probability and the narrowest margin in coarse steps, fine where they are low."""
    if seen.logprobs:
        mean = sum(seen.logprobs) / len(seen.logprobs)
        yield f"mean_logprob={int(min(9.0, max(0.0, -10 * mean)))}"
    if seen.margins:
        yield f"least_margin={int(min(9.0, 2 * log2(1 + 4 * min(seen.margins))))}"
