"""One process of test_lease_stores: clients that spend a tenant's budget until nothing is left.

python lease_worker.py URL LIMIT STREAMS

It says `ready 0` and waits for a line on its stdin. Then it prints `try N` before each settlement of N tokens
and `done N` after it.
"""

import asyncio
import random
import secrets
import sys
from pathlib import Path

from penstock.budget.lease import LeasedLedger
from penstock.budget.policy import Leases
from penstock.clock import SYSTEM
from penstock.stores.ledger import PER, Account, Denial, Ledger, Line
from penstock.stores.redis_ledger import RedisLedger
from penstock.stores.sqlite_ledger import SqliteLedger

TENANT = "acme"
CLIENTS = 16
LASTS_S = 30.0
FIXED, TOKENS = 5, 10
ENOUGH = 15  # denials in a row
DICE = random.Random()  # noqa: S311


def lines(limit: int, streams: int) -> list[Line]:
    until = SYSTEM.now() + 86_400
    return [
        Line(Account("tokens", until), limit, FIXED, PER, warn_from=limit * 4 // 5),
        Line(Account("streams", until), streams, 1, 0, False),
    ]


async def opened(url: str) -> Ledger:
    if url.startswith("redis"):
        return await RedisLedger.open(url, connect_s=20, operation_s=20, probe_s=20)
    return await SqliteLedger.open(Path(url), timeout_s=20)


async def client(ledger: LeasedLedger, limit: int, streams: int) -> None:
    denied = 0
    while denied < ENOUGH:
        name, now, asked = secrets.token_hex(12), SYSTEM.now(), lines(limit, streams)
        answer = await ledger.reserve(
            TENANT, name, asked, tokens=TOKENS, least=1, now=now, expires_at=now + LASTS_S
        )
        if isinstance(answer, Denial):
            denied += 0 in answer.lines
            await asyncio.sleep(0.01)
            continue
        denied = 0
        await asyncio.sleep(DICE.random() * 0.004)
        charge = DICE.choice([0, FIXED, asked[0].amount(answer.tokens), asked[0].amount(answer.tokens)])
        print("try", charge, flush=True)
        settled = await ledger.settle(TENANT, name, [(asked[0], charge), (asked[1], 0)], now=SYSTEM.now())
        assert settled is not None
        for place in settled.warned:
            print("warned", place, flush=True)
        print("done", charge, flush=True)


async def main(url: str, limit: int, streams: int) -> None:
    inner = await opened(url)
    ledger = LeasedLedger(inner, SYSTEM, lambda *_: print("warned", 0, flush=True))
    ledger.configure(Leases(enabled=True, share=0.05), LASTS_S, "refuse")
    print("ready 0", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await asyncio.gather(*(client(ledger, limit, streams) for _ in range(CLIENTS)))
    await ledger.close()
    await inner.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
