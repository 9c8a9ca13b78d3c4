import msgspec
import pytest
from multidict import CIMultiDict

from penstock.sample.tally import Seen, Settings, Tally


def seen(body: bytes = b"{}") -> Seen:
    return Seen(1.0, "POST", "/v1/responses", "", CIMultiDict(), body, 50_000)


def test_only_the_last_requests_are_kept():
    tally = Tally()
    for number in range(5):
        tally.see(seen(str(number).encode()), keep=2)
    assert [request.json for request in tally.requests] == [3, 4]


def test_none_are_kept_where_none_are_wanted():
    tally = Tally()
    tally.see(seen(), keep=0)
    assert tally.requests == []


def test_reset_forgets_everything():
    tally = Tally(calls=3, connections=2, taken_bytes=1)
    tally.see(seen(), keep=9)
    tally.scenarios["flaky-1-500"] += 1
    tally.reset()
    assert tally == Tally()


def test_a_body_that_is_no_json_says_so_only_when_read_as_json():
    request = seen(b"\x00")
    assert request.body == b"\x00"
    with pytest.raises(msgspec.DecodeError):
        _ = request.json


def test_the_key_is_not_shown():
    assert "sk-secret" not in repr(Settings(key="sk-secret"))
