"""Random workers on one ledger, with crashes, cuts and clocks that move: the limits hold, sums come out."""

import asyncio
from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.errors import StoreUnavailable
from penstock.stores.ledger import PER, Account, Grant, Line
from penstock.stores.memory import MemoryLedger
from unit.budget.lease_house import LASTS_S, TENANT, Clock, Worker, hurried, rest

WORKERS = 3
LIMITS = {"tokens": 300, "usd": 500, "minute": 200, "streams": 48}

workers = st.integers(0, WORKERS - 1)
which = st.integers(0, 30)
few = st.integers(0, 2)
parts = st.sampled_from([0.0, 0.5, 1.0])
traffic = st.tuples(st.just("traffic"), workers, st.integers(4, 20), few, parts)
actions = st.one_of(
    traffic,
    traffic,
    st.tuples(st.just("reserve"), workers, few, few),
    st.tuples(st.just("reserve"), workers, st.integers(0, 10), st.integers(0, 80)),
    st.tuples(st.just("burst"), workers, st.integers(2, 20), few),
    st.tuples(st.just("settle"), which, parts),
    st.tuples(st.just("settle all"), parts),
    st.tuples(st.just("top up"), which, st.integers(1, 10)),
    st.tuples(st.just("pass"), st.sampled_from([0.2, 1.0, 2.5, 9.0])),
    st.tuples(st.just("read"), workers),
    st.tuples(st.just("slow"), workers, st.integers(1, 12)),
    st.tuples(st.just("limit"), st.sampled_from(sorted(LIMITS)), st.floats(0.3, 1.2)),
)
troubles = st.one_of(
    st.tuples(st.just("kill"), workers),
    st.tuples(st.just("cut"), workers, st.booleans()),
    st.tuples(st.just("lose"), workers, st.integers(1, 3)),
    st.tuples(st.just("set clock"), st.floats(-100, 100)),
    st.tuples(st.just("pass"), st.floats(10, 2 * LASTS_S)),
)


class Call:
    """A reservation under way, and what was granted of each account."""

    def __init__(self, worker, name, lines, grant):
        self.worker, self.name, self.lines = worker, name, list(lines)
        self.held = Counter({each.account.name: each.amount(grant.tokens) for each in lines})

    def charges(self, part):
        return [
            (each, int(self.held[each.account.name] * part) if each.charged_on_expiry else 0)
            for each in self.lines
        ]


class World:
    """All workers, and what really was granted and charged."""

    def __init__(self, share, store_gone):
        self.clock = Clock()
        self.store = MemoryLedger()
        self.terms = {"share": share, "store_gone": store_gone, "watch": self.watch}
        self.workers = [Worker(self.store, self.clock, **self.terms) for _ in range(WORKERS)]
        self.limits = dict(LIMITS)
        self.most = dict(LIMITS)  # the largest that each limit ever was
        self.calls = []
        self.tasks = set()
        self.charged = Counter()  # of workers that live
        self.lost = False  # whether anything may have been charged that nobody used
        self.calm = True  # whether all reservations were renewed in time

    def lines(self, fixed, rate):
        window = int(self.clock.now()) // 60 * 60
        names = {"tokens": "tokens", "usd": "usd", "minute": f"minute/{window}", "streams": "streams"}
        made = []
        for kind, name in names.items():
            self.most.setdefault(name, self.most[kind])
            self.most[name] = max(self.most[name], self.limits[kind])
            lent = kind == "streams"
            need = 1 if lent else fixed + 1
            per = 0 if lent else rate * PER // (2 if kind == "usd" else 1)
            made.append(Line(Account(name, 2e9), self.limits[kind], need, per, not lent))
        return made

    def watch(self):
        """Nothing is ever above its limit: in the store, and in truth."""
        book = self.store._tenants.get(TENANT)
        for name, standing in book.accounts.items() if book else ():
            assert standing.used + standing.reserved <= self.most[name], name
            assert standing.reserved >= 0
            assert 0 <= standing.expired <= standing.used
        for lease in (lease for worker in self.workers for lease in worker.ledger._leases.values()):
            spent, size = (lease.slice.spent, lease.slice.size) if lease.slice else (0, 0)
            assert 0 <= lease.held <= size - spent, "what is held is held in the store, too"
        really = self.charged.copy()
        for call in self.calls:
            really.update(call.held)
        for name, amount in really.items():
            if self.calm or name != "streams":
                assert amount <= self.most[name], name

    def start(self, job):
        task = asyncio.get_running_loop().create_task(job)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def reserve(self, at, fixed, tokens):
        worker = self.workers[at]
        name, lines = worker.name(), self.lines(fixed, 1)
        try:
            answer = await worker.reserve(lines, name, tokens, least=1)
        except StoreUnavailable:
            await self.settled(worker, name, [])
            return
        if isinstance(answer, Grant):
            self.calls.append(Call(worker, name, lines, answer))
            self.watch()

    async def settled(self, worker, name, charges):
        """Settle as the books do: until the store has answered."""
        while not worker.network.killed:
            try:
                return await worker.settling(name, charges)
            except StoreUnavailable:
                await asyncio.sleep(0)

    async def settle(self, call, part):
        if call in self.calls:
            self.calls.remove(call)
            charges = call.charges(part)
            # Counted at once: from here on the call's own hold must cover it.
            self.charged.update({each.account.name: amount for each, amount in charges})
            await self.settled(call.worker, call.name, charges)

    async def top_up(self, call, tokens):
        lines = self.lines(0, 1)[:2]
        names = {each.account.name for each in call.lines}
        if call not in self.calls or not {each.account.name for each in lines} <= names:
            return
        self.calls.remove(call)
        try:
            answer = await call.worker.reserve(lines, call.name, tokens, least=tokens)
            if isinstance(answer, Grant):
                call.held.update({each.account.name: each.amount(tokens) for each in lines})
        except StoreUnavailable:
            pass
        self.calls.append(call)
        self.watch()

    async def traffic(self, at, many, tokens, part):
        for _ in range(many):
            before = list(self.calls)
            await self.reserve(at, 0, tokens)
            for call in [
                call for call in self.calls if call not in before and call.worker is self.workers[at]
            ]:
                await self.settle(call, part)

    async def read(self, at):
        try:
            accounts = [each.account for each in self.lines(1, 1)]
            await self.workers[at].ledger.read(TENANT, accounts, now=self.clock.now())
        except StoreUnavailable:
            pass

    def kill(self, at):
        self.lost = True
        victim = self.workers[at]
        victim.kill()
        self.calls = [call for call in self.calls if call.worker is not victim]
        self.workers[at] = Worker(self.store, self.clock, **self.terms)

    async def go_by(self, seconds):
        self.clock.advance(seconds)
        if seconds > LASTS_S / 4 or any(worker.network.cut for worker in self.workers):
            self.calm = False
        for worker in self.workers:
            now = self.clock.now()
            names = [call.name for call in self.calls if call.worker is worker]
            try:
                await worker.ledger.renew(TENANT, names, now=now, expires_at=now + LASTS_S)
            except StoreUnavailable:
                self.calm = False
            await worker.tend()

    async def do(self, action, *given):
        match action, given:
            case "reserve", (at, fixed, tokens):
                self.start(self.reserve(at, fixed, tokens))
            case "traffic", (at, many, tokens, part):
                self.start(self.traffic(at, many, tokens, part))
            case "burst", (at, many, tokens):
                for _ in range(many):
                    self.start(self.reserve(at, 0, tokens))
                    await rest(3)
            case "settle", (place, part) if self.calls:
                self.start(self.settle(self.calls[place % len(self.calls)], part))
            case "settle all", (part,):
                for call in list(self.calls):
                    self.start(self.settle(call, part))
            case "top up", (place, tokens) if self.calls:
                self.start(self.top_up(self.calls[place % len(self.calls)], tokens))
            case "pass", (seconds,):
                await self.go_by(seconds)
            case "read", (at,):
                self.start(self.read(at))
            case "slow", (at, turns):
                self.workers[at].network.turns = turns
            case "limit", (kind, by):
                self.limits[kind] = int(LIMITS[kind] * by)
            case "kill", (at,):
                self.kill(at)
            case "cut", (at, cut):
                self.calm = False
                self.workers[at].network.cut = cut
            case "lose", (at, many):
                self.calm = False
                self.workers[at].network.losing = many
            case "set clock", (seconds,):
                self.calm = False
                self.clock.set_wall(seconds)

    async def end(self):
        """Settle everything, close, and wait until all that is left has expired."""
        for worker in self.workers:
            worker.network.cut, worker.network.losing = False, 0
        await rest()
        for call in list(self.calls):
            await self.settle(call, 1.0)
        while any(not task.done() for task in self.tasks) and not self.lost:
            await rest()
        await rest()
        for worker in self.workers:
            await worker.close()
        self.clock.advance(1000.0)  # more than any clock was set back
        names = list(self.store._tenants[TENANT].accounts) if TENANT in self.store._tenants else []
        accounts = [Account(name, 2e9) for name in names]
        standings = await self.store.read(TENANT, accounts, now=self.clock.now())
        self.watch()
        for name, standing in zip(names, standings, strict=True):
            assert standing.reserved == 0
            if self.lost:
                assert standing.used >= self.charged[name]
            else:
                assert (standing.used, standing.expired) == (self.charged[name], 0), name
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()


def play(deeds, share, store_gone):
    async def run():
        world = World(share, store_gone)
        for at, deed in enumerate(deeds):
            await world.do(*deed)
            await rest(60 if at % 3 else 2)
            world.watch()
        await world.end()

    with hurried():
        asyncio.run(run())


MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
terms = st.sampled_from([0.02, 0.1, 0.25]), st.sampled_from(["refuse", "allow_within_lease"])


@MANY
@given(st.lists(actions, min_size=5, max_size=60), *terms)
def test_calm_workers_charge_exactly_what_was_used(deeds, share, store_gone):
    play(deeds, share, store_gone)


@MANY
@given(st.lists(st.one_of(actions, actions, actions, troubles), min_size=5, max_size=60), *terms)
def test_no_trouble_breaks_a_limit_or_loses_a_charge(deeds, share, store_gone):
    play(deeds, share, store_gone)
