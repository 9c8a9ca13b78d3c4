"""Random histories: the real ledgers do what the one in memory does, and the sums are always right."""

import asyncio
import itertools
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from integration.stores.ledger_house import NOW, PATIENT, account
from penstock.stores.ledger import MOST, PER, REMEMBERED_S, Grant, Line, Standing
from penstock.stores.memory import MemoryLedger
from penstock.stores.redis_ledger import RedisLedger
from penstock.stores.sqlite_ledger import SqliteLedger

pytest_plugins = ["redis_fixture"]

# Two windows of one limit: a call at their border may hold in one and be settled in the other.
NAMES = ["day:1", "day:2", "minute", "streams"]
IDS = ["r1", "r2", "r3", "r4"]
numbers = itertools.count()

lines = st.builds(
    Line,
    st.sampled_from(NAMES).map(account),
    limit=st.sampled_from([0, 50, 100, 1000, MOST]),
    fixed=st.integers(0, 60),
    rate=st.sampled_from([0, 1, 333_333, PER, 3 * PER, 2**40 + 1]),
    charged_on_expiry=st.booleans(),
    warn_from=st.sampled_from([None, 0, 40, 80]),
)
# Mostly short steps forward, but also jumps either way, over every expiry and over what is remembered.
steps = st.sampled_from([0, 0, 1, 5, 10, 30, -1, -10, -3600, 3600, REMEMBERED_S, -REMEMBERED_S])
charges = st.lists(st.tuples(lines, st.integers(0, 120)), max_size=4)
operations = st.one_of(
    st.tuples(
        *(st.just("reserve"), st.sampled_from(IDS), st.lists(lines, max_size=4)),
        *(st.sampled_from([0, 1, 40, 100_000, MOST]), st.integers(0, 20), st.integers(1, 30)),
    ),
    st.tuples(st.just("settle"), st.sampled_from(IDS), charges),
    st.tuples(st.just("take"), charges),
    st.tuples(st.just("renew"), st.lists(st.sampled_from(IDS), max_size=5), st.integers(1, 30)),
    st.tuples(st.just("reset"), st.lists(st.sampled_from(NAMES), max_size=2)),
    st.tuples(st.just("held")),
)
histories = st.lists(st.tuples(st.integers(0, 1), steps, operations), max_size=40)


async def do(ledger, tenant, operation, now):
    what, *given = operation
    if what == "reserve":
        reservation, its, tokens, least, lives_s = given
        return await ledger.reserve(
            *(tenant, reservation, its), tokens=tokens, least=least, now=now, expires_at=now + lives_s
        )
    if what == "settle":
        return await ledger.settle(tenant, *given, now=now)
    if what == "take":
        return await ledger.take(tenant, *given, now=now)
    if what == "renew":
        return await ledger.renew(tenant, given[0], now=now, expires_at=now + given[1])
    if what == "reset":
        return await ledger.reset(tenant, [account(name) for name in given[0]], now=now)
    return await ledger.held(tenant, now=now)


@dataclass
class Sums:
    """What must be true of the accounts, added up from the answers alone."""

    holds: dict[str, Counter] = field(default_factory=dict)
    expires_at: dict[str, float] = field(default_factory=dict)
    charged: Counter = field(default_factory=Counter)

    def note(self, operation, answer, now):
        for reservation in [key for key, end in self.expires_at.items() if end <= now]:
            del self.holds[reservation], self.expires_at[reservation]
        what, *given = operation
        if what == "reserve" and isinstance(answer, Grant):
            reservation, its, *_, lives_s = given
            held = self.holds.setdefault(reservation, Counter())
            self.expires_at[reservation] = now + lives_s
            for line, standing in zip(its, answer.standings, strict=True):
                held[line.account.name] += line.amount(answer.tokens)
                if line.amount(answer.tokens):
                    assert standing.used + standing.reserved <= line.limit
        if what == "settle" and answer is not None:
            self.holds.pop(given[0], None)
            self.expires_at.pop(given[0], None)
            for line, amount in given[1]:
                self.charged[line.account.name] += amount
        if what == "take":
            for (line, _), amount in zip(given[0], answer, strict=True):
                self.charged[line.account.name] += amount
        if what == "renew":
            for reservation in self.expires_at.keys() & set(given[0]):
                self.expires_at[reservation] = now + given[1]
        if what == "reset":
            for name in given[0]:
                self.charged[name] = 0

    def check(self, standings):
        for name, standing in zip(NAMES, standings, strict=True):
            assert standing.reserved == sum(held[name] for held in self.holds.values())
            assert standing.used == self.charged[name] + standing.expired


async def follow(history, open_one):
    """Live through a history with two processes on one store, beside the model."""
    model, ledgers = MemoryLedger(), [await open_one(), await open_one()]
    tenant, now, sums = f"tenant {next(numbers)}", NOW, Sums()
    every = [account(name) for name in NAMES]
    try:
        for who, step, operation in history:
            now += step
            answer = await do(ledgers[who], tenant, operation, now)
            assert answer == await do(model, tenant, operation, now)
            sums.note(operation, answer, now)
            standings = await ledgers[1 - who].read(tenant, every, now=now)
            assert standings == await model.read(tenant, every, now=now)
            sums.check(standings)
            assert await ledgers[who].held(tenant, now=now) == len(sums.holds)
    finally:
        await asyncio.gather(*(ledger.close() for ledger in ledgers))


async def crowd(histories, open_one):
    """Live through several histories at once: nobody knows their order, but the sums are right at its end."""
    ledgers = [await open_one() for _ in histories]
    tenant, every = f"tenant {next(numbers)}", [account(name) for name in NAMES]
    charged: Counter = Counter()

    async def live(who, history):
        now = NOW
        for _, step, operation in history:
            now += step
            if operation[0] == "reset":
                continue
            sums = Sums()
            sums.note(operation, await do(ledgers[who], tenant, operation, now), now)
            charged.update(sums.charged)

    try:
        await asyncio.gather(*(live(who, history) for who, history in enumerate(histories)))
        end = NOW + 100 * REMEMBERED_S
        for name, standing in zip(NAMES, await ledgers[0].read(tenant, every, now=end), strict=True):
            assert standing == Standing(charged[name] + standing.expired, 0, standing.expired)
        assert await ledgers[0].held(tenant, now=end) == 0
    finally:
        await asyncio.gather(*(ledger.close() for ledger in ledgers))


@pytest.fixture(params=["sqlite", "redis"])
def open_one(request):
    if request.param == "redis":
        url = request.getfixturevalue("redis_server").url
        return lambda: RedisLedger.open(url, **PATIENT)
    path = request.getfixturevalue("tmp_path") / "ledger.db"
    return lambda: SqliteLedger.open(path, timeout_s=20)


# The fixture only says where; every history has a tenant of its own.
lively = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@lively
@given(history=histories)
def test_a_real_ledger_does_what_the_model_does(open_one, history):
    asyncio.run(follow(history, open_one))


@settings(lively, max_examples=60)
@given(together=st.lists(histories, min_size=2, max_size=4))
def test_the_sums_of_many_at_once_are_right(open_one, together):
    asyncio.run(crowd(together, open_one))
