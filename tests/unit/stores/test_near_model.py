"""Whatever is done to a near store, in whatever order: it answers as one dict would."""

import asyncio

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from penstock.stores.near import NearStore
from penstock.stores.protocol import Entry
from penstock.testing import FrozenClock, MemoryStore

LIMIT = 20
spaces = st.sampled_from(["a", "b"])
keys = st.sampled_from(["k", "l", "m", "n"])
puts = st.lists(
    st.tuples(spaces, keys, st.binary(max_size=LIMIT + 2), st.sampled_from([-1.0, 5.0, 1000.0])),
    max_size=3,
)


class Backend(MemoryStore):
    """Keeps what the contract says is kept."""

    async def put(self, entries, *, limit_bytes):
        await super().put(entries, limit_bytes=limit_bytes)
        for entry in entries:
            if len(entry.value) > limit_bytes:
                del self.entries[entry.space, entry.key]


class NearStoreMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.loop = asyncio.Runner()
        self.clock = FrozenClock()
        self.backend = Backend(self.clock)
        # Room for five entries near, so that they come and go.
        self.store = NearStore(self.backend, self.clock, limit_bytes=5 * 540, near_ttl_s=10, flush_s=0)
        self.model: dict[tuple[str, str], Entry] = {}

    def run(self, coroutine):
        return self.loop.run(coroutine)

    def live(self, space, key):
        entry = self.model.get((space, key))
        return entry if entry is not None and entry.expires_at > self.clock.now() else None

    async def settle(self):
        for _ in range(200):
            if not self.store._pending and not self.store._flying:
                return
            await asyncio.sleep(0)

    @rule(puts=puts, settle=st.booleans())
    def put(self, puts, settle):
        async def put():
            await self.settle()  # so that what waits never outgrows its room
            await self.store.put(entries, limit_bytes=LIMIT)
            if settle:
                await self.settle()

        entries = [Entry(space, key, value, self.clock.now() + lives) for space, key, value, lives in puts]
        self.run(put())
        for entry in entries:
            self.model.pop((entry.space, entry.key), None)
            if len(entry.value) <= LIMIT:
                self.model[entry.space, entry.key] = entry

    @rule(puts=puts)
    def put_while_the_backend_is_gone(self, puts):
        self.run(self.settle())
        self.backend.gone = True
        self.put(puts, settle=False)
        for space, key, *_ in puts:
            assert self.run(self.store.get(space, key)) == self.live(space, key)
        self.backend.gone = False

    @rule(space=spaces, key=keys)
    def get(self, space, key):
        assert self.run(self.store.get(space, key)) == self.live(space, key)

    @rule(space=spaces, keys=st.none() | st.lists(keys, max_size=3, unique=True))
    def delete(self, space, keys):
        doomed = [at for at in self.model if at[0] == space and (keys is None or at[1] in keys)]
        self.run(self.store.delete(space, keys))
        for at in doomed:
            del self.model[at]

    @rule(seconds=st.sampled_from([1.0, 6.0, 11.0]))
    def wait(self, seconds):
        self.clock.advance(seconds)

    @rule(space=spaces)
    def weigh(self, space):
        for at in [at for at, entry in self.backend.entries.items() if entry.expires_at <= self.clock.now()]:
            del self.backend.entries[at]  # as a real one does by itself
        size = self.run(self.store.size_bytes(space))
        alive = [self.live(*at) for at in self.model if at[0] == space]
        written_dead = [
            e for at, e in self.backend.entries.items() if at[0] == space and e.expires_at <= self.clock.now()
        ]
        assert size - sum(len(e.value) for e in written_dead) == sum(len(e.value) for e in alive if e)

    @invariant()
    def nothing_is_lost_and_the_near_is_bounded(self):
        assert self.store.dropped == 0
        held = sum(len(entry.value) + 512 for entry, _ in self.store._near.values())
        assert held == self.store._near_bytes <= 5 * 540
        assert self.store._pending_bytes == sum(
            len(p.entry.value) + 512 for p in self.store._pending.values()
        )

    def teardown(self):
        self.run(self.store.close())
        alive = {at: entry for at in self.model if (entry := self.live(*at))}
        kept = {at: e for at, e in self.backend.entries.items() if e.expires_at > self.clock.now()}
        assert kept == alive
        self.loop.close()


TestNearStore = NearStoreMachine.TestCase
TestNearStore.settings = settings(max_examples=120, stateful_step_count=30, deadline=None)
