"""One request, many spellings, one key."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.openai.canonical import UNTOLD, Sampling, canonical, sampling, stateful
from penstock.openai.request import Endpoint, parse_body

CHAT = Endpoint.CHAT

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=5), inner, max_size=4)
    ),
    max_leaves=12,
)
bodies = st.dictionaries(
    st.sampled_from(["model", "messages", "n", "store", "x"])
    | st.text(st.characters(codec="utf-8"), max_size=4),
    values,
    max_size=6,
)


def shuffled(value: object, order: random.Random) -> object:
    if isinstance(value, dict):
        items = [(name, shuffled(inner, order)) for name, inner in value.items()]
        order.shuffle(items)
        return dict(items)
    return [shuffled(inner, order) for inner in value] if isinstance(value, list) else value


@given(bodies, st.randoms(use_true_random=False), st.booleans(), st.sampled_from([None, 2]))
def test_order_space_and_escapes_do_not_matter(body, order, ascii_only, indent):
    plain = json.dumps(body, ensure_ascii=False).encode()
    other = json.dumps(shuffled(body, order), ensure_ascii=ascii_only, indent=indent).encode()
    assert canonical(CHAT, parse_body(plain)) == canonical(CHAT, parse_body(other))


@given(
    bodies, values, st.text(st.characters(codec="utf-8"), max_size=4).filter(lambda name: name not in UNTOLD)
)
def test_any_changed_field_matters(body, value, name):
    changed = {**body, name: value}
    same = json.dumps(changed, sort_keys=True) == json.dumps(body, sort_keys=True)
    assert (canonical(CHAT, changed) == canonical(CHAT, body)) is same


@given(bodies, values, st.sampled_from(sorted(UNTOLD)))
def test_a_field_that_does_not_change_the_answer_does_not_matter(body, value, name):
    assert canonical(CHAT, {**body, name: value}) == canonical(CHAT, body)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"temperature": 1}, {"temperature": 1.0}),
        ({"stop": None}, {}),
        ({"seed": 2**70}, {"seed": 2**70 + 1}),
        ({"seed": 0}, {"seed": False}),
        ({"messages": [1, 2]}, {"messages": [2, 1]}),
        ({"store": True}, {"store": False}),
        ({"messages": [{"stream": 1}]}, {"messages": [{"stream": 2}]}),
        ({"a": "é"}, {"a": "e\u0301"}),
        ({"vendor_field": 1}, {}),
        ({"service_tier": "flex"}, {"service_tier": "default"}),
    ],
)
def test_these_stay_apart(one, other):
    assert canonical(CHAT, one) != canonical(CHAT, other)


def test_endpoints_stay_apart():
    assert len({canonical(endpoint, {"model": "m"}) for endpoint in Endpoint}) == len(Endpoint)


@pytest.mark.parametrize("name", sorted(UNTOLD))
def test_what_a_response_repeats_counts_there(name):
    apart = canonical(Endpoint.RESPONSES, {name: "a"}) != canonical(Endpoint.RESPONSES, {name: "b"})
    assert apart is (name not in ("stream", "stream_options"))


def test_the_body_stays_as_it_is():
    body = {"stream": True, "b": 1, "a": 2}
    canonical(CHAT, body)
    assert list(body) == ["stream", "b", "a"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, Sampling(1.0, 1)),
        ({"temperature": 0, "n": 3}, Sampling(0.0, 3)),
        ({"temperature": 0.2}, Sampling(0.2, 1)),
        ({"temperature": None, "n": None}, Sampling(1.0, 1)),
        ({"temperature": "0", "n": "2"}, Sampling(1.0, 1)),
        ({"temperature": False, "n": True}, Sampling(1.0, 1)),
        ({"n": 0}, Sampling(1.0, 1)),
        ({"n": 2.0}, Sampling(1.0, 1)),
        ({"temperature": 10**400}, Sampling(10**400, 1)),
    ],
)
def test_sampling(body, expected):
    assert sampling(body) == expected


@pytest.mark.parametrize(
    ("endpoint", "body", "why"),
    [
        (Endpoint.RESPONSES, {}, None),
        (Endpoint.RESPONSES, {"previous_response_id": "resp_1"}, None),
        (Endpoint.RESPONSES, {"conversation": "conv_1"}, "conversation"),
        (Endpoint.RESPONSES, {"conversation": {"id": "conv_1"}}, "conversation"),
        (Endpoint.RESPONSES, {"conversation": None, "background": False}, None),
        (Endpoint.RESPONSES, {"background": True}, "background"),
        (Endpoint.CHAT, {"conversation": "x", "background": True}, None),
    ],
)
def test_stateful(endpoint, body, why):
    assert stateful(endpoint, body) == why
