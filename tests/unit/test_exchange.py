"""An exchange is one request and every decision about it; what may be seen of it is decided here."""

import itertools

from penstock import testing
from penstock.exchange import Decision, Exchange
from penstock.upstream.policy import UpstreamsPolicy


def test_every_exchange_has_an_id_of_its_own() -> None:
    ids = {testing.exchange().id for _ in range(1000)}
    assert len(ids) == 1000
    assert all(id.startswith("req_") for id in ids)


def test_no_two_exchanges_share_what_they_collect() -> None:
    one, other = testing.exchange(), testing.exchange()
    one.decide("cache", "hit", "3 s old")
    one.answer_headers["age"] = "3"
    one.received += b"x"
    one.timings["cache"] = 1.0
    assert one.decisions == [Decision("cache", "hit", "3 s old")]
    assert (other.decisions, other.answer_headers, other.received, other.timings) == ([], {}, b"", {})


def test_a_reviewer_sees_only_what_is_inspected_and_not_ephemeral() -> None:
    for inspected, ephemeral in itertools.product([True, False], repeat=2):
        exchange = testing.exchange()
        exchange.inspected, exchange.ephemeral = inspected, ephemeral
        assert exchange.shown is (inspected and not ephemeral)


def test_the_first_byte_is_noted_once() -> None:
    exchange = testing.exchange()
    assert exchange.first_byte is None
    exchange.mark_first_byte()
    first = exchange.first_byte
    exchange.mark_first_byte()
    assert exchange.first_byte is first


def test_neither_the_clients_key_nor_any_content_stands_in_its_repr() -> None:
    exchange = testing.exchange()
    exchange.client_key = "sk-marker"
    exchange.received += b"marker"
    assert "marker" not in repr(exchange)


def test_it_keeps_the_policies_it_started_with() -> None:
    exchange = testing.exchange()
    before = exchange.policies[UpstreamsPolicy]
    exchange.policies.replacing(before.at("http://other.invalid/v1"))
    assert exchange.policies[UpstreamsPolicy] is before
    assert isinstance(exchange, Exchange)
