"""What the lease tests share: workers as processes are, on one ledger, with a network that can be cut."""

import asyncio
from contextlib import contextmanager
from itertools import count

import pytest

from penstock.budget import upkeep
from penstock.budget.lease import LeasedLedger
from penstock.budget.policy import Leases
from penstock.errors import StoreUnavailable
from penstock.stores.ledger import PER, Account, Denial, Grant, Line

LASTS_S = 40.0
TENANT = "acme"


class Clock:
    """Both clocks stand still; the wall clock can be set alone."""

    def __init__(self):
        self.wall = 1_800_000_000.0
        self.steady = 5_000.0

    def now(self):
        return self.wall

    def monotonic(self):
        return self.steady

    def advance(self, seconds):
        self.wall += seconds
        self.steady += seconds

    def set_wall(self, seconds):
        self.wall += seconds


class Network:
    """One worker's way to the ledger: slow, can be cut, can lose answers, ends when the worker is killed."""

    def __init__(self, ledger, watch=None):
        self.ledger = ledger
        self.asked = []
        self.turns = 1  # of the loop, each way
        self.cut = False
        self.losing = 0  # so many answers are lost, though what was asked happens
        self.killed = False
        self.slow = asyncio.Event()  # reservations wait for their answer while it is not set
        self.slow.set()
        self._watch = watch

    def __getattr__(self, name):
        async def ask(*given, **named):
            self.asked.append(name)
            await rest(self.turns)
            await self._here()
            if self.cut:
                raise StoreUnavailable("cut")
            answer = await getattr(self.ledger, name)(*given, **named)
            if self._watch:
                self._watch()
            if name == "reserve":
                await self.slow.wait()
            await rest(self.turns)
            await self._here()
            if self.losing:
                self.losing -= 1
                raise StoreUnavailable("the answer was lost")
            return answer

        return ask

    async def _here(self):
        if self.killed:
            await asyncio.Event().wait()

    def forget(self):
        self.asked.clear()


class Worker:
    """One process: a leased ledger, and what a stage does with it."""

    names = count()

    def __init__(self, ledger, clock, *, share=0.1, store_gone="refuse", enabled=True, watch=None):
        self.clock = clock
        self.network = Network(ledger, watch)
        self.warned = []
        self.ledger = LeasedLedger(
            self.network, clock, lambda tenant, line, standing: self.warned.append((tenant, line, standing))
        )
        self.terms = Leases(enabled=enabled, share=share)
        self.ledger.configure(self.terms, LASTS_S, store_gone)

    def name(self):
        return f"r{next(self.names)}"

    def reserving(self, lines, name=None, tokens=0, least=0):
        now = self.clock.now()
        return self.ledger.reserve(
            TENANT,
            name or self.name(),
            lines,
            tokens=tokens,
            least=least,
            now=now,
            expires_at=now + LASTS_S,
        )

    async def reserve(self, lines, name=None, tokens=0, least=0):
        return await self.reserving(lines, name, tokens, least)

    def settling(self, name, charges):
        return self.ledger.settle(TENANT, name, charges, now=self.clock.now())

    async def call(self, lines, charges=None, tokens=0):
        """Reserve, and settle with the whole amount or these."""
        name = self.name()
        grant = await self.reserve(lines, name, tokens)
        assert isinstance(grant, Grant)
        whole = [line.amount(grant.tokens) if line.charged_on_expiry else 0 for line in lines]
        settled = await self.settling(name, list(zip(lines, charges or whole, strict=True)))
        await rest()
        return settled

    async def warm(self, *lines):
        """Ask so often that there is a slice of each account, where it is worth one."""
        for _ in range(4):
            await self.call(lines)
        self.network.forget()

    def kill(self):
        self.network.killed = True

    async def tend(self):
        await self.ledger.tend()
        await rest()

    async def close(self):
        await self.ledger.close()


async def rest(turns=60):
    """Let everything that can go on do so."""
    for _ in range(turns):
        await asyncio.sleep(0)


def line(name="a", need=1, limit=1000, **more):
    return Line(Account(name, 2e9), limit, need, **more)


def per_token(name="a", fixed=0, limit=1000, rate=PER):
    return Line(Account(name, 2e9), limit, fixed, rate)


def streams(limit=64):
    return Line(Account("streams", 2e9), limit, 1, 0, False)


def at_once(coroutine):
    """Give what a coroutine returns without ever suspending."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    pytest.fail("it had to wait")


def is_denied(answer):
    return isinstance(answer, Denial)


async def account(ledger, clock, name="a"):
    """Give an account as the store has it."""
    (standing,) = await ledger.read(TENANT, [Account(name, 2e9)], now=clock.now())
    return standing


@contextmanager
def hurried():
    """Nothing waits by the real clock: what is tried again is so at once, and looks happen when told to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(upkeep, "_AGAIN_S", 0.0)
        patch.setattr(upkeep, "_BEAT_S", 3600.0)
        patch.setattr(upkeep, "_CLOSING_S", 0.5)
        yield
