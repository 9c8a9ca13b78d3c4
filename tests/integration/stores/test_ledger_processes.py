"""Real processes on one ledger, one of them killed in the middle: the limit holds, and the sums are exact."""

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from integration.stores.ledger_house import NOW, PATIENT, account
from penstock.stores.ledger import Standing
from penstock.stores.redis_ledger import RedisLedger
from penstock.stores.sqlite_ledger import SqliteLedger

pytest_plugins = ["redis_fixture"]

LIMIT = 100_000
LIVES_S = 1000.0

# Waits for a word, then calls until there is no room; says what it will charge before it settles, and that
# it did after.
CALLER = f"""
import asyncio, itertools, math, random, sys
from pathlib import Path
from penstock.stores.ledger import Account, Denial, Line
from penstock.stores.redis_ledger import RedisLedger
from penstock.stores.sqlite_ledger import SqliteLedger

async def main(where, name):
    if where.startswith("redis:"):
        ledger = await RedisLedger.open(where, connect_s=20, operation_s=20)
    else:
        ledger = await SqliteLedger.open(Path(where), timeout_s=40)
    spent = asyncio.Event()
    numbers = itertools.count()
    lines = [
        Line(Account("day", math.inf), {LIMIT}, 10, 1_000_000),
        Line(Account("streams", math.inf), 10**6, 1, charged_on_expiry=False),
    ]

    async def call():
        dice = random.Random(name)
        while not spent.is_set():
            its = f"{{name}}-{{next(numbers)}}"
            grant = await ledger.reserve(
                "acme", its, lines, tokens=90, least=1, now={NOW}, expires_at={NOW + LIVES_S}
            )
            if isinstance(grant, Denial):
                return spent.set()
            amount = dice.randint(0, 10 + grant.tokens)
            print("will", its, amount, flush=True)
            if dice.random() < 0.05:
                continue  # a call that is never settled
            assert await ledger.settle("acme", its, [(lines[0], amount)], now={NOW})
            print("did", its, amount, flush=True)

    print("ready", flush=True)
    sys.stdin.readline()
    await asyncio.gather(*(call() for _ in range(4)))
    await ledger.close()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture(params=["sqlite", "redis"])
def where(request):
    if request.param == "redis":
        return request.getfixturevalue("redis_server").url
    return str(request.getfixturevalue("tmp_path") / "ledger.db")


def caller(where, name):
    command = [sys.executable, "-c", CALLER, where, name]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    return subprocess.Popen(command, text=True, **pipes)


def opened(where):
    if where.startswith("redis:"):
        return RedisLedger.open(where, **PATIENT)
    return SqliteLedger.open(Path(where), timeout_s=20)


def said(lines, word):
    """Give what the caller said with this word: amounts by reservation."""
    rows = [line.split() for line in lines if line.endswith("\n")]
    return {row[1]: int(row[2]) for row in rows if row[0] == word}


@pytest.fixture
def callers(where):
    callers = [caller(where, name) for name in "abcd"]
    yield callers
    for each in callers:
        each.kill()
        each.wait()
        each.stdin.close()
        each.stdout.close()


async def test_four_processes_and_a_kill(where, callers):
    for each in callers:
        assert await asyncio.to_thread(each.stdout.readline) == "ready\n"
    for each in callers:
        each.stdin.write("go\n")
        each.stdin.flush()
    victim = callers[0]
    heard = [await asyncio.to_thread(victim.stdout.readline) for _ in range(40)]
    os.kill(victim.pid, signal.SIGKILL)
    rest = await asyncio.gather(*(asyncio.to_thread(each.stdout.read) for each in callers))
    assert [each.wait() for each in callers] == [-signal.SIGKILL, 0, 0, 0]

    ledger = await opened(where)
    day, streams = account("day"), account("streams")
    before, _ = await ledger.read("acme", [day, streams], now=NOW)
    assert before.used + before.reserved <= LIMIT
    assert before.reserved > 0
    later = NOW + LIVES_S
    used, held = await ledger.read("acme", [day, streams], now=later)
    assert (used.reserved, held) == (0, Standing())
    assert await ledger.held("acme", now=later) == 0
    assert used.used <= LIMIT

    # What the victim was settling when it died may have been charged, or not; everything else is certain.
    certain = sum(sum(said(text.splitlines(keepends=True), "did").values()) for text in rest[1:])
    its = [*heard, *rest[0].splitlines(keepends=True)]
    certain += sum(said(its, "did").values())
    open_ends = Counter(said(its, "will")) - Counter(said(its, "did"))
    assert used.used - used.expired - certain in sums(open_ends.values())
    await ledger.close()


def sums(amounts):
    """Give the sums of all subsets."""
    possible = {0}
    for amount in amounts:
        possible |= {one + amount for one in possible}
    return possible
