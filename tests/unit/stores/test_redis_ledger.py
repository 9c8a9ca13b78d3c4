"""The ledger in a Redis that is not there; what it does in one is in tests/integration/stores."""

import pytest

from penstock.errors import StartError, StoreUnavailable
from penstock.stores.ledger import MOST, Account, Line
from penstock.stores.redis_ledger import RedisLedger

DAY = Account("day", 0)


@pytest.fixture
async def ledger():
    ledger = await RedisLedger.open("unix://:secret@/nowhere/redis.sock", probe_s=1000)
    yield ledger
    await ledger.close()


def every_method(ledger, amount=1):
    line = Line(DAY, 1, 1)
    return (
        ledger.reserve("acme", "r", [line], tokens=amount, least=0, now=0, expires_at=1),
        ledger.settle("acme", "r", [(line, amount)], now=0),
        ledger.take("acme", [(line, amount)], now=0),
        ledger.renew("acme", ["r"], now=0, expires_at=1),
        ledger.read("acme", [DAY], now=0),
        ledger.reset("acme", [DAY], now=0),
        ledger.held("acme", now=0),
    )


async def test_every_method_says_that_it_is_not_there(ledger):
    for wait in every_method(ledger):
        with pytest.raises(StoreUnavailable, match="is not there"):
            await wait


async def test_it_warns_that_it_is_not_there_and_of_nothing_else(ledger, caplog):
    messages = [record.getMessage() for record in caplog.get_records("setup")]
    assert len(messages) == 1
    assert "is not there" in messages[0]
    assert "secret" not in messages[0] + repr(ledger)
    assert repr(ledger) == "RedisLedger(unix:///nowhere/redis.sock)"


async def test_what_can_not_be_counted_is_refused_before_it_is_sent(ledger):
    reserve, settle, take, *rest = every_method(ledger, MOST + 1)
    for wait in (reserve, settle, take):
        with pytest.raises(ValueError, match="whole number"):
            await wait
    for wait in rest:
        wait.close()


async def test_an_url_that_can_not_be_read_is_refused():
    with pytest.raises(StartError):
        await RedisLedger.open("redis://")
