"""How long budgets take: µs for each request, on SQLite and on Redis, with leases and without.

    .venv/bin/python benchmarks/budget.py [--requests 2000] [--repetitions 5]

One process, one request at a time, nothing asserted; three limits: tokens of the day, dollars of the month,
streams.

ledger: reserve and settle of one request, one after the other.
stage: the chain with the stage beside the same chain without it, in turns. `p50` and `p99` are what a client
waits longer for a plain answer; `all` is the whole time of a round for each request, with what is done behind
the answers. A figure is the median of the differences within each round; `ratio` is with by without, at p50.

The goal: p50 60 µs with leases. Redis is a server of this benchmark's own on a unix socket; without a
`redis-server` it is left out.
"""

import argparse
import asyncio
import contextlib
import secrets
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from penstock import testing
from penstock.budget.lease import LeasedLedger
from penstock.budget.policy import BudgetPolicy, Leases
from penstock.chain import Chain, ChainPolicy
from penstock.clock import SYSTEM
from penstock.exchange import Call, Exchange
from penstock.models.policy import Model, ModelsPolicy
from penstock.openai.usage import Usage
from penstock.policy.base import StagePolicy
from penstock.reply import Reply
from penstock.stage import Proceed, Stage
from penstock.stages.budget import Budget
from penstock.stores.ledger import PER, Account, Grant, Ledger, Line
from penstock.stores.redis_ledger import RedisLedger
from penstock.stores.sqlite_ledger import SqliteLedger
from penstock.tenants.policy import Limit, Tenant, TenantsPolicy

WARM: Final = 50
LASTS_S: Final = 60.0
PLENTY: Final = 10**12
OUTPUT_TOKENS: Final = 200
SHARES: Final = {"no leases": Leases(), "leases": Leases(enabled=True)}
_ANSWER: Final = testing.chat("A short answer.")


class Answers(Stage[StagePolicy]):
    """The end of the road: a plain answer with its usage, at once."""

    name = "upstream"
    policy = StagePolicy

    async def answer(self, exchange: Exchange, proceed: Proceed) -> Reply:
        exchange.attempts = 1
        exchange.calls.append(Call("m", Usage(100, OUTPUT_TOKENS)))
        return _ANSWER()


@dataclass(frozen=True)
class Round:
    """What each request took, in µs, and all of them together with what was done behind them."""

    each: list[float]
    all_us: float

    @property
    def p50(self) -> float:
        return statistics.median(self.each)

    @property
    def p99(self) -> float:
        return sorted(self.each)[len(self.each) * 99 // 100]


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="What budgets add to a request.")
    parser.add_argument("--requests", type=int, default=2000, metavar="N", help="of one round")
    parser.add_argument("--repetitions", type=int, default=5, metavar="N")
    return parser.parse_args()


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[str | None]:
    """Run a Redis and give its URL, if there is one on this machine."""
    if (binary := shutil.which("redis-server")) is None:
        yield None
        return
    socket = folder / "redis.sock"
    command = [binary, "--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(folder)]
    server = subprocess.Popen([*command, "--maxmemory-policy", "noeviction"], stdout=subprocess.DEVNULL)
    try:
        while not socket.exists():
            time.sleep(0.01)
        yield f"unix://{socket}"
    finally:
        server.terminate()
        server.wait()


@contextlib.asynccontextmanager
async def ledgers(folder: Path, url: str | None) -> AsyncIterator[dict[str, Ledger]]:
    """Open a ledger on each store."""
    opened: dict[str, Ledger] = {"sqlite": await SqliteLedger.open(folder / "ledger.db")}
    if url is not None:
        opened["redis"] = await RedisLedger.open(url)
    try:
        yield opened
    finally:
        for ledger in opened.values():
            await ledger.close()


def lines() -> list[Line]:
    """Say what a request needs of three accounts, as the stage does: new for each request."""
    until = SYSTEM.now() + 86_400
    return [
        Line(Account("tenant/tokens/day/0/", until), PLENTY, 500, PER, warn_from=PLENTY),
        Line(Account("tenant/usd/month/0/", until), PLENTY, 150, 3 * PER, warn_from=PLENTY),
        Line(Account("tenant/streams/none/0/", until), 1000, 1, 0, False),
    ]


async def through_ledger(ledger: Ledger, requests: int) -> Round:
    """Reserve and settle so many requests."""
    each = []
    for _ in range(requests):
        asked, now, name = lines(), SYSTEM.now(), secrets.token_hex(12)
        charges = [(asked[0], 300), (asked[1], 700), (asked[2], 0)]
        began = time.perf_counter()
        answer = await ledger.reserve(
            "acme", name, asked, tokens=OUTPUT_TOKENS, least=16, now=now, expires_at=now + LASTS_S
        )
        await ledger.settle("acme", name, charges, now=now)
        each.append((time.perf_counter() - began) * 1e6)
        assert isinstance(answer, Grant)
        await asyncio.sleep(0)
    return Round(each, sum(each) / requests)


async def ledger_table(opened: dict[str, Ledger], chosen: argparse.Namespace) -> None:
    """Print what reserve and settle take."""
    print(f"{'ledger: reserve + settle':<28}{'p50 µs':>10}{'p99 µs':>10}")
    for store, inner in opened.items():
        for name, leases in SHARES.items():
            ledger = LeasedLedger(inner, SYSTEM, lambda *_: None)
            ledger.configure(leases, LASTS_S, "refuse")
            await through_ledger(ledger, WARM)
            rounds = [await through_ledger(ledger, chosen.requests) for _ in range(chosen.repetitions)]
            await ledger.close()
            p50, p99 = (statistics.median(getattr(each, what) for each in rounds) for what in ("p50", "p99"))
            print(f"{store + ', ' + name:<28}{p50:>10.1f}{p99:>10.1f}")


def request(leases: Leases, order: tuple[str, ...]) -> Exchange:
    """Make a request of a tenant with three limits."""
    limits = (
        Limit(unit="tokens", window="day", limit=PLENTY),
        Limit(unit="usd", window="month", limit=PLENTY // 10**6),
        Limit(unit="streams", limit=1000),
    )
    model = Model(
        input_usd_per_million=1, output_usd_per_million=3, context_tokens=8000, max_output_tokens=1000
    )
    body = {
        "model": "m",
        "max_tokens": OUTPUT_TOKENS,
        "messages": [{"role": "user", "content": "Hello. " * 40}],
    }
    exchange = testing.exchange(
        body=body,
        given=(
            ChainPolicy(order=order),
            StagePolicy(),
            BudgetPolicy(leases=leases),
            TenantsPolicy(tenants={"acme": Tenant(limits=limits)}),
            ModelsPolicy(models={"m": model}),
        ),
    )
    exchange.tenant = "acme"
    return exchange


def again(exchange: Exchange) -> Exchange:
    """Give a new exchange for the same request and the same policies."""
    new = Exchange(exchange.request, exchange.policies)
    new.tenant = exchange.tenant
    return new


async def through_chain(chain: Chain, first: Exchange, requests: int) -> Round:
    """Let a chain answer so many requests, with time for what it does behind the answers."""
    each = []
    whole = time.perf_counter()
    for _ in range(requests):
        exchange = again(first)
        began = time.perf_counter()
        await chain.answer(exchange)
        each.append((time.perf_counter() - began) * 1e6)
        await asyncio.sleep(0)
    return Round(each, (time.perf_counter() - whole) * 1e6 / requests)


async def stage_row(ledger: Ledger, leases: Leases, chosen: argparse.Namespace) -> list[float]:
    """Give what the stage adds: p50, p99, all, and the ratio at p50."""
    stage = Budget()
    chain = Chain({"budget": stage, "upstream": Answers()})  # type: ignore[dict-item]
    bare, whole = request(leases, ("upstream",)), request(leases, ("budget", "upstream"))
    await chain.start(replace(testing.resources(), ledger=ledger, clock=SYSTEM))
    chain.accept(whole.policies)
    try:
        for first in (bare, whole):
            await through_chain(chain, first, WARM)
        rows = []
        for turn in range(chosen.repetitions):
            order = (bare, whole) if turn % 2 else (whole, bare)
            ran = {id(first): await through_chain(chain, first, chosen.requests) for first in order}
            without, with_it = ran[id(bare)], ran[id(whole)]
            differences = (getattr(with_it, of) - getattr(without, of) for of in ("p50", "p99", "all_us"))
            rows.append([*differences, with_it.p50 / without.p50])
        return [statistics.median(column) for column in zip(*rows, strict=True)]
    finally:
        await chain.stop()


async def stage_table(opened: dict[str, Ledger], chosen: argparse.Namespace) -> None:
    """Print what the stage adds."""
    print(f"\n{'stage: added':<28}{'p50 µs':>10}{'p99 µs':>10}{'all µs':>10}{'ratio':>8}")
    for store, ledger in opened.items():
        for name, leases in SHARES.items():
            p50, p99, whole, ratio = await stage_row(ledger, leases, chosen)
            print(f"{store + ', ' + name:<28}{p50:>10.1f}{p99:>10.1f}{whole:>10.1f}{ratio:>8.1f}")


async def main() -> None:
    """Print both tables."""
    chosen = options()
    with tempfile.TemporaryDirectory(prefix="budget-") as name, redis(Path(name)) as url:
        async with ledgers(Path(name), url) as opened:
            await ledger_table(opened, chosen)
            await stage_table(opened, chosen)


if __name__ == "__main__":
    asyncio.run(main())
