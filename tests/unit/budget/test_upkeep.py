"""Upkeep: slices are taken, renewed, replaced and given back, whatever the store and the clock do."""

import asyncio

import pytest

from penstock.budget import upkeep
from penstock.budget.policy import Leases
from penstock.errors import StoreUnavailable
from penstock.stores.ledger import Grant, Standing
from unit.budget.lease_house import (
    LASTS_S,
    TENANT,
    Worker,
    account,
    at_once,
    is_denied,
    line,
    rest,
    streams,
)

pytest_plugins = ["unit.budget.lease_fixtures"]
pytestmark = pytest.mark.usefixtures("no_waiting")


class TestUpkeep:
    async def test_an_idle_slice_goes_back_and_is_forgotten(self, worker, store, clock):
        await worker.warm(line())
        clock.advance(worker.terms.idle_s)
        await worker.tend()
        assert await account(store, clock) == Standing(4)
        await worker.tend()
        assert not worker.ledger._leases

    async def test_an_old_slice_is_settled_and_replaced_while_calls_go_on(self, trusting, store, clock):
        await trusting.warm(line())
        for _ in range(5):
            clock.advance(0.5)
            at_once(trusting.reserving([line()], name := trusting.name()))
            at_once(trusting.settling(name, [(line(), 1)]))
        assert (await account(store, clock)).used == 3
        await trusting.tend()
        standing = await account(store, clock)
        assert standing.used == 9
        assert standing.reserved > 8
        assert isinstance(at_once(trusting.reserving([line()])), Grant)

    async def test_calls_under_way_move_to_the_next_slice(self, worker, store, clock):
        await worker.warm(line())
        at_once(worker.reserving([line(need=6)], "long"))
        for _ in range(3):
            clock.advance(2)
            await worker.tend()
        assert await account(store, clock) == Standing(4, 6)
        at_once(worker.settling("long", [(line(), 5)]))
        clock.advance(2)
        await worker.tend()
        assert await account(store, clock) == Standing(9)

    async def test_calls_that_cannot_move_keep_their_slice(self, worker, other, store, clock):
        await worker.warm(line())
        at_once(worker.reserving([line(need=60)], "long"))
        standing = await account(store, clock)
        free = 1000 - standing.used - standing.reserved
        assert isinstance(await other.reserve([line(need=free)]), Grant)
        clock.advance(2)
        await worker.tend()
        assert (await account(store, clock)).reserved == 1000 - 3
        assert worker.ledger._leases[TENANT, "a"].held == 60
        await worker.settling("long", [(line(), 60)])
        clock.advance(2)
        await worker.tend()
        assert await account(store, clock) == Standing(64, free)

    async def test_the_next_slice_is_there_before_this_one_is_empty(self, worker):
        await worker.warm(line())
        for _ in range(300):
            at_once(worker.reserving([line()], name := worker.name()))
            at_once(worker.settling(name, [(line(), 1)]))
            await rest(8)
        assert len(worker.network.asked) < 30

    async def test_slices_are_renewed_for_as_long_as_the_process_lives(self, worker, store, clock):
        await worker.warm(line())
        at_once(worker.reserving([line(need=6)], "long"))
        clock.advance(2)
        await worker.tend()
        for _ in range(20):
            clock.advance(LASTS_S / 4)
            await worker.tend()
        assert await account(store, clock) == Standing(4, 6)
        assert worker.ledger._leases[TENANT, "a"].slice.good_until > clock.steady

    async def test_a_slice_that_may_have_expired_is_not_spent_from(self, trusting, store, clock):
        await trusting.warm(line())
        trusting.network.cut = True
        clock.advance(LASTS_S * 3 / 4 - 0.1)
        at_once(trusting.reserving([line()], "last"))
        clock.advance(0.1)
        with pytest.raises(StoreUnavailable):
            await trusting.reserve([line()])

    async def test_what_was_spent_of_a_slice_that_expired_replaces_its_charge(self, worker, store, clock):
        await worker.warm(line())
        at_once(worker.reserving([line(need=6)], "long"))
        worker.network.cut = True
        clock.advance(LASTS_S + 1)
        assert (await account(store, clock)).expired > 6
        at_once(worker.settling("long", [(line(), 5)]))
        worker.network.cut = False
        await worker.close()
        assert await account(store, clock) == Standing(9)

    async def test_a_renewal_that_found_too_few_keeps_nothing_alive(self, worker, store, clock):
        await worker.warm(line(), line("b"))
        for name in ("a", "b"):
            at_once(worker.reserving([line(name, 6)]))
        clock.advance(2)
        await worker.tend()
        gone = worker.ledger._leases[TENANT, "a"].slice
        await store.settle(TENANT, gone.reservation, [], now=clock.now())
        good = worker.ledger._leases[TENANT, "b"].slice.good_until
        clock.advance(LASTS_S / 2)
        await worker.tend()
        assert worker.ledger._leases[TENANT, "b"].slice.good_until == good

    async def test_calls_that_begin_while_a_slice_shrinks_are_not_lost(self, worker, store, clock):
        await worker.warm(line())
        at_once(worker.reserving([line(need=6)], "long"))
        worker.network.turns = 10
        reading = asyncio.ensure_future(worker.ledger.read(TENANT, [line().account], now=clock.now()))
        await rest(5)
        asking = asyncio.ensure_future(worker.reserve([line(need=7)], "new"))
        await rest(300)
        assert (await reading)[0].used == 4
        assert isinstance(await asking, Grant)
        assert worker.ledger._leases[TENANT, "a"].slice.size == 6  # the new one asked the store
        assert (await account(store, clock)).reserved == 13

    async def test_more_calls_than_the_next_slice_was_made_for_get_a_larger_one(
        self, trusting, other, store, clock
    ):
        await trusting.warm(line())
        await other.reserve([line(need=800)])  # so that the next slice is a small one
        clock.advance(2)
        trusting.ledger._leases[TENANT, "a"].others = 800
        trusting.network.slow.clear()
        at_once(trusting.reserving([line(need=1)], "first"))
        await trusting.tend()
        at_once(trusting.reserving([line(need=60)], "second"))
        trusting.network.slow.set()
        await rest()
        lease = trusting.ledger._leases[TENANT, "a"]
        assert (lease.held, lease.slice.size) == (61, 61)
        assert (await account(store, clock)).reserved == 800 + 61


class TestStoreGone:
    async def test_refuse_believes_an_answer_for_half_a_second(self, worker, clock):
        await worker.warm(line())
        worker.network.cut = True
        clock.advance(0.5)
        assert isinstance(at_once(worker.reserving([line()])), Grant)
        clock.advance(0.01)
        with pytest.raises(StoreUnavailable):
            await worker.reserve([line()])

    async def test_refuse_does_not_wait_so_long_once_it_is_known(self, worker):
        await worker.warm(line())
        worker.network.cut = True
        with pytest.raises(StoreUnavailable):
            await worker.reserve([line("b")])
        with pytest.raises(StoreUnavailable):
            await worker.reserve([line()])

    async def test_the_heartbeat_keeps_the_way_open_and_finds_the_store_again(self, worker, clock):
        await worker.warm(line())
        for _ in range(4):
            clock.advance(0.3)
            await worker.tend()
            name = worker.name()
            assert isinstance(at_once(worker.reserving([line()], name)), Grant)
            at_once(worker.settling(name, [(line(), 1)]))
        worker.network.cut = True
        clock.advance(0.3)
        await worker.tend()
        with pytest.raises(StoreUnavailable):
            await worker.reserve([line()])
        worker.network.cut = False
        clock.advance(0.3)
        await worker.tend()
        assert isinstance(at_once(worker.reserving([line()])), Grant)

    async def test_allow_spends_what_is_in_hand(self, trusting, store, clock):
        await trusting.warm(line())
        trusting.network.cut = True
        for _ in range(3):
            clock.advance(5)
            await trusting.tend()
            at_once(trusting.reserving([line()], name := trusting.name()))
            at_once(trusting.settling(name, [(line(), 1)]))
        with pytest.raises(StoreUnavailable):
            await trusting.reserve([line(need=500)])
        trusting.network.cut = False
        await trusting.close()
        assert await account(store, clock) == Standing(7)

    async def test_a_slice_without_an_answer_is_let_go_once_the_store_is_back(self, worker, store, clock):
        for _ in range(2):
            await worker.call([line()])
        await worker.reserve([line()], "third")
        worker.network.losing = 1
        await rest()
        assert (await account(store, clock)).reserved <= 101
        await worker.settling("third", [(line(), 1)])
        await rest()
        await worker.close()
        assert await account(store, clock) == Standing(3)

    async def test_a_slice_that_could_not_be_settled_is_settled_later(self, worker, store, clock):
        await worker.warm(line())
        clock.advance(worker.terms.idle_s)
        await worker.ledger.tend()
        worker.network.cut = True
        await rest()
        assert worker.ledger._leases[TENANT, "a"].standing() == Standing(4)
        worker.network.cut = False
        await rest()
        assert await account(store, clock) == Standing(4)


class TestChanges:
    @pytest.mark.parametrize("limit", [500, 2000])
    async def test_a_changed_limit_counts_at_once(self, worker, store, clock, limit):
        await worker.warm(line())
        name = worker.name()
        assert isinstance(await worker.reserve([line(limit=limit)], name), Grant)
        assert worker.network.asked[0] == "reserve"
        await worker.settling(name, [(line(limit=limit), 1)])
        await rest()
        assert await account(store, clock) == Standing(5)

    async def test_a_limit_lowered_below_the_use_stops_the_next_request(self, worker):
        await worker.warm(line())
        assert is_denied(await worker.reserve([line(limit=3)]))

    async def test_leases_that_are_switched_off_go_back(self, worker, store, clock):
        await worker.warm(line())
        at_once(worker.reserving([line(need=6)], "long"))
        worker.ledger.configure(Leases(enabled=False), LASTS_S, "refuse")
        await rest()
        assert await account(store, clock) == Standing(4, 6)
        await worker.call([line()])
        assert await worker.settling("long", [(line(), 6)])
        clock.advance(2)
        await worker.tend()
        assert await account(store, clock) == Standing(11)

    async def test_a_top_up_of_what_was_held_before_they_were_switched_on_is_settled_whole(
        self, store, clock
    ):
        worker = Worker(store, clock, enabled=False)
        await worker.reserve([line(need=50)], "old")
        worker.ledger.configure(Leases(enabled=True, share=0.1), LASTS_S, "refuse")
        await worker.warm(line())
        at_once(worker.reserving([line(need=5)], "old"))
        await worker.settling("old", [(line(), 55)])
        await worker.close()
        assert await account(store, clock) == Standing(59)


class TestTheEnd:
    async def test_close_settles_everything(self, worker, store, clock):
        await worker.warm(line(), streams())
        await worker.close()
        assert await account(store, clock) == Standing(4)
        assert await account(store, clock, "streams") == Standing()
        assert await store.held(TENANT, now=clock.now()) == 0

    async def test_what_calls_hold_at_the_close_is_charged_as_after_a_crash(self, worker, store, clock):
        await worker.warm(line(), streams())
        at_once(worker.reserving([line(need=6), streams()]))
        await worker.close()
        assert await account(store, clock) == Standing(10)
        assert await account(store, clock, "streams") == Standing()

    async def test_close_does_not_wait_for_ever(self, worker, store, clock, monkeypatch):
        monkeypatch.setattr(upkeep, "_CLOSING_S", 0.05)
        await worker.warm(line())
        worker.network.cut = True
        await worker.close()
        clock.advance(LASTS_S)
        standing = await account(store, clock)
        assert (standing.reserved, standing.expired > 0) == (0, True)

    async def test_a_killed_workers_slices_expire_into_charges(self, worker, other, store, clock):
        await worker.warm(line(), streams())
        at_once(worker.reserving([line(need=6), streams()]))
        worker.kill()
        before = await account(store, clock)
        await other.call([line()])
        clock.advance(LASTS_S)
        after = await account(store, clock)
        assert after == Standing(3 + 1 + before.reserved, 0, before.reserved)
        assert await account(store, clock, "streams") == Standing()

    async def test_the_inner_ledger_stays_open(self, worker):
        await worker.close()
        assert "close" not in worker.network.asked
