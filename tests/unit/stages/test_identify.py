"""identify takes the client's key off the request, in whichever header it came, and names the tenant."""

import pytest

from penstock import testing
from penstock.exchange import Decision
from penstock.stages.identify import Identify


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({"Authorization": "Bearer sk-1"}, "sk-1"),
        ({"Authorization": "bEARER   sk-1 "}, "sk-1"),
        ({"api-key": "az-1"}, "az-1"),
        ({"X-API-Key": "x-1"}, "x-1"),
        ({"Authorization": "Bearer sk-1", "api-key": "az-1"}, "sk-1"),
        ({"Authorization": "Basic dXNlcjpwYXNz", "api-key": "az-1"}, "az-1"),
        ({"Authorization": "Basic dXNlcjpwYXNz"}, None),
        ({"Authorization": "Bearer "}, None),
        ({"Authorization": "Bearer"}, None),
        ({"Authorization": "sk-1"}, None),
        ({}, None),
    ],
)
async def test_the_clients_key_is_found(headers: dict[str, str], key: str | None) -> None:
    exchange = testing.exchange(headers=headers)
    await testing.run_stage(Identify(), exchange, testing.FakeUpstream(testing.chat("hi")))
    assert exchange.client_key == key


async def test_in_open_mode_everyone_is_the_default_tenant() -> None:
    exchange = testing.exchange(headers={"Authorization": "Bearer sk-1"})
    upstream = testing.FakeUpstream(testing.chat("hi"))
    await testing.run_stage(Identify(), exchange, upstream)
    assert exchange.tenant == "default"
    assert exchange.decisions == [Decision("identify", "open", "tenant default")]
    assert upstream.calls == 1


async def test_what_it_would_do_is_what_it_does_and_never_tells_the_key() -> None:
    exchange = testing.exchange(headers={"Authorization": "Bearer sk-secret"})
    planned = Identify().plan(exchange)
    await testing.run_stage(Identify(), exchange, testing.FakeUpstream(testing.chat("hi")))
    assert exchange.decisions == [planned]
    assert "secret" not in repr(exchange.decisions)


def test_it_may_not_be_skipped() -> None:
    assert Identify.skippable is False
