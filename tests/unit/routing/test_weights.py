import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.routing.features import Features
from penstock.routing.weights import NOTHING, Packed, Weights

SEEN = Features(frozenset({1, 2}), frozenset({3}), frozenset({4}))


def _weights(**changes: float) -> Weights:
    pulls = {1: 0.5, 2: -0.25, 3: 1.0, 4: 0.125, 99: 7.0}
    return Weights((1.0, 0.5, 2.0), changes.get("intercept", 0.25), pulls)


def test_the_gain_is_the_sum_of_pulls_over_the_size():
    assert _weights().gain(SEEN) == pytest.approx(0.25 + 1.375 / (2 + 0.25 + 4) ** 0.5)


def test_unknown_features_bring_the_gain_towards_the_mean():
    weights = _weights()
    diluted = Features(SEEN.words | set(range(1000, 1100)), SEEN.options, SEEN.shape)
    assert 0.25 < weights.gain(diluted) < weights.gain(SEEN)


def test_nothing_says_zero():
    assert NOTHING.gain(SEEN) == 0.0
    assert len(NOTHING) == 0


def test_a_pull_can_be_asked_for():
    assert (_weights().pull(3), _weights().pull(5)) == (1.0, 0.0)


def test_weights_come_back_from_their_bytes():
    again = Weights.unpacked(_weights().packed())
    assert again.gain(SEEN) == _weights().gain(SEEN)
    assert again.digest() == _weights().digest()
    assert dict(again.items()) == dict(_weights().items())


def test_other_weights_have_another_digest():
    assert _weights().digest() != _weights(intercept=0.5).digest()


@given(st.dictionaries(st.integers(0, 2**32 - 1), st.floats(-10, 10, width=32)), st.floats(-1, 1))
def test_any_weights_survive_storage(pulls: dict[int, float], intercept: float):
    weights = Weights((1.0, 0.6, 4.0), intercept, pulls)
    again = Weights.unpacked(weights.packed())
    assert dict(again.items()) == pulls
    assert again.intercept == intercept
    assert again.scales == weights.scales


@pytest.mark.parametrize("data", [b"", b"\xc1", msgspec.msgpack.encode([1, 2])])
def test_what_was_not_packed_is_refused(data: bytes):
    with pytest.raises(msgspec.DecodeError):
        Weights.unpacked(data)


@pytest.mark.parametrize(("features", "pulls"), [(b"\0" * 8, b"\0" * 4), (b"\0" * 3, b"\0" * 3)])
def test_arrays_that_do_not_fit_are_refused(features: bytes, pulls: bytes):
    with pytest.raises(msgspec.DecodeError, match="fit together"):
        Weights.unpacked(msgspec.msgpack.encode(Packed((1.0, 1.0, 1.0), 0.0, features, pulls)))
