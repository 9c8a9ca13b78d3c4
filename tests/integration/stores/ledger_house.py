"""Lines, accounts and short words of the ledger tests, and how long they wait."""

import math

from penstock.stores.ledger import MOST, PER, Account, Line

NOW = 1_800_000_000.0
# Long waits: the machine that runs the tests may be slower than a user would bear.
PATIENT = {"connect_s": 10, "operation_s": 10, "probe_s": 0.02}


def account(name="day", keep_until=math.inf):
    return Account(name, keep_until)


def line(name="day", limit=100, fixed=0, tokens=0, **more):
    """Give a line that needs `fixed` and, for each output token, so many of `tokens`."""
    return Line(account(name, more.pop("keep_until", math.inf)), limit, fixed, tokens * PER, **more)


async def hold(ledger, reservation, *lines, tenant="acme", tokens=0, least=0, now=NOW, lives_s=60.0):
    return await ledger.reserve(
        *(tenant, reservation, lines), tokens=tokens, least=least, now=now, expires_at=now + lives_s
    )


async def settle(ledger, reservation, *lines, tenant="acme", now=NOW):
    return await ledger.settle(tenant, reservation, lines, now=now)


async def standing(ledger, name="day", tenant="acme", now=NOW):
    return (await ledger.read(tenant, [account(name)], now=now))[0]


async def use(ledger, amount, name="day", limit=MOST):
    assert await ledger.take("acme", [(line(name, limit), amount)], now=NOW) == (amount,)
