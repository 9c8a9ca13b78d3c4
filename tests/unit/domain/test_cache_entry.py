"""A cache entry has one name for all requests that mean the same, and reads back as it was written."""

import json
import random
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from penstock import testing
from penstock.domain.cache_entry import CacheKey, Kept, address
from penstock.openai import sse
from penstock.openai.canonical import UNTOLD
from penstock.openai.request import Endpoint, Json
from penstock.openai.sse import Parser
from penstock.stores.keyring import Keyring

MAC = Keyring(bytes(32)).mac


def key_of(
    body: Json,
    *,
    tenant: str = "t",
    endpoint: Endpoint = Endpoint.CHAT,
    route: tuple[str, ...] = ("main", "http://h/v1"),
    whose: bytes = b"w",
) -> CacheKey:
    return address(tenant, endpoint, body, route, whose, MAC)


BODY: Json = {
    "model": "m",
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "héllo 😀"}]},
        {"role": "tool", "x": None},
    ],
    "temperature": 0.5,
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"a": 1, "b": {"c": [1, 2]}}}}],
    "seed": 10**30,
    "unknown": {"z": 1, "y": [True, None]},
}


def shuffled(value: Any, dice: random.Random) -> Any:
    if isinstance(value, dict):
        items = [(name, shuffled(part, dice)) for name, part in value.items()]
        dice.shuffle(items)
        return dict(items)
    return [shuffled(part, dice) for part in value] if isinstance(value, list) else value


def test_a_thousand_shuffled_bodies_have_one_key() -> None:
    dice = random.Random(7)  # noqa: S311 - shuffles, no secrets
    spelled = set()
    keys = set()
    for _ in range(1000):
        text = json.dumps(
            shuffled(BODY, dice), indent=dice.choice([None, 0, 3]), ensure_ascii=dice.choice([True, False])
        )
        spelled.add(text)
        keys.add(key_of(json.loads(text)))
    assert len(spelled) > 900
    assert keys == {key_of(BODY)}


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["model", "messages", "temperature", "stop", "store", "x"]) | st.text(max_size=6)


def spelling(value: Any) -> str:
    return json.dumps(value, sort_keys=True)  # tells 1 from 1.0 and from true


@settings(deadline=None)
@given(st.dictionaries(names, json_values, max_size=5), names, json_values)
def test_any_changed_field_is_another_key(body: Json, name: str, value: Any) -> None:
    assume(name not in UNTOLD)
    changed = {**body, name: value}
    same = name in body and spelling(body[name]) == spelling(value)
    one, other = key_of(body), key_of(changed)
    assert (one.name == other.name) is same
    assert (one.binding == other.binding) is same


@settings(deadline=None)
@given(st.dictionaries(names, json_values, max_size=4), st.sampled_from(sorted(UNTOLD)), json_values)
def test_a_field_that_does_not_change_the_answer_does_not_change_the_key(
    body: Json, name: str, value: Any
) -> None:
    assert key_of({**body, name: value}) == key_of({key: v for key, v in body.items() if key != name})


@pytest.mark.parametrize(
    "other",
    [
        {"tenant": "u"},
        {"endpoint": Endpoint.COMPLETIONS},
        {"route": ("other", "http://h/v1")},
        {"route": ("main", "http://h2/v1")},
        {"route": ("main",)},
        {"whose": b"x"},
    ],
)
def test_who_asks_and_where_it_goes_count_too(other: dict[str, Any]) -> None:
    one, two = key_of(BODY), key_of(BODY, **other)
    assert one.binding != two.binding
    assert (one.space, one.name) != (two.space, two.name)


def test_the_parts_of_a_key_can_not_be_pushed_into_one_another() -> None:
    assert key_of({}, route=("a", "b"), whose=b"c").binding != key_of({}, route=("a",), whose=b"b\0c").binding


# Entries


ANSWER = testing.chat("hello")().body
USAGE = {"prompt_tokens": 1, "completion_tokens": 2}
STREAM = [
    testing.chunk({"content": "hel"}),
    testing.chunk({"content": "lo"}),
    testing.chunk({}, "stop"),
    sse.done(),
]


@settings(deadline=None)
@given(
    st.builds(
        Kept,
        plain=st.none() | st.binary(max_size=50),
        streamed=st.none() | st.binary(max_size=50),
        usage=st.none() | st.dictionaries(st.text(max_size=4), st.integers(0, 2**63), max_size=3),
        stored_at=st.floats(allow_nan=False),
        model=st.none() | st.text(st.characters(codec="utf-8"), max_size=5),
        provider=st.none() | st.text(st.characters(codec="utf-8"), max_size=5),
    )
)
def test_an_entry_reads_back_as_it_was_written(kept: Kept) -> None:
    assert Kept.decode(kept.encode()) == kept


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_garbage_is_no_entry_or_an_odd_one_and_never_breaks(garbage: bytes) -> None:
    try:
        kept = Kept.decode(garbage)
    except ValueError:
        return
    assert isinstance(kept, Kept)


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"\xff",
        b"\x80",
        b"\x93\xc0\xc0" + b"\x81\xa1a" * 100_000,
        b"\x93\xc0\xc0\x81\xa1\xff\x01",
        ANSWER,
    ],
)
def test_what_no_version_wrote_is_a_value_error_that_quotes_nothing(garbage: bytes) -> None:
    with pytest.raises(ValueError, match="not a cache entry of this version"):
        Kept.decode(garbage)


@pytest.mark.parametrize(
    "kept", [Kept(model="\ud800"), Kept(usage={"total": 10**30}), Kept(usage={"a": "\udfff"})]
)
def test_what_an_entry_can_not_hold_is_a_value_error(kept: Kept) -> None:
    with pytest.raises(ValueError, match="can't hold"):
        kept.encode()


def test_a_cut_entry_is_no_entry() -> None:
    whole = Kept.of_events(STREAM, USAGE).encode()
    for end in range(len(whole)):
        with pytest.raises(ValueError, match="entry"):
            Kept.decode(whole[:end])


def test_both_forms_come_of_either() -> None:
    plain, streamed = Kept.of_body(ANSWER), Kept.of_events(STREAM, USAGE)
    assert plain.body(Endpoint.CHAT) == ANSWER
    told = json.loads(streamed.body(Endpoint.CHAT))
    assert told["choices"][0]["message"]["content"] == "hello"
    assert told["usage"] == USAGE
    again = streamed.events(Endpoint.CHAT, include_usage=False)
    assert b"".join(event.raw for event in again) == streamed.streamed
    for kept in (plain, streamed):
        events = kept.events(Endpoint.CHAT, include_usage=True)
        assert [event.final for event in events] == [False] * (len(events) - 1) + [True]
        assert any(isinstance(e.json, dict) and e.json.get("usage") for e in events)


def test_an_entry_says_how_its_answer_ended() -> None:
    for kept in (Kept.of_body(ANSWER), Kept.of_events(STREAM, None)):
        ending = kept.ending(Endpoint.CHAT)
        assert (ending.complete, ending.truncated, ending.empty) == (True, False, False)
    assert not Kept.of_events(STREAM[:2], None).ending(Endpoint.CHAT).complete


@pytest.mark.parametrize("junk", [b"", b"not JSON", b"[]", b"null", b'{"choices": 3}'])
@pytest.mark.parametrize("endpoint", [Endpoint.CHAT, Endpoint.RESPONSES, Endpoint.EMBEDDINGS])
def test_what_is_no_answer_is_not_complete(junk: bytes, endpoint: Endpoint) -> None:
    assert not Kept.of_body(junk).ending(endpoint).complete


def test_replaying_never_changes_what_is_stored() -> None:
    kept = Kept.of_events(STREAM, USAGE)
    before = kept.encode()
    for include_usage in (True, False):
        kept.events(Endpoint.CHAT, include_usage=include_usage)
        kept.body(Endpoint.CHAT)
    assert kept.encode() == before
    assert len(Parser().feed(kept.streamed or b"")) == len(STREAM)
