"""Leases: what is spent without a round trip, what is asked, and that nothing is lost between the two."""

import asyncio

import pytest

from penstock.errors import StoreUnavailable
from penstock.stores.ledger import PER, Account, Denial, Grant, Line, Standing
from unit.budget.lease_house import (
    TENANT,
    Worker,
    account,
    at_once,
    is_denied,
    line,
    per_token,
    rest,
    streams,
)

pytest_plugins = ["unit.budget.lease_fixtures"]
pytestmark = pytest.mark.usefixtures("no_waiting")


async def test_disabled_leases_only_pass_on(store, clock):
    worker = Worker(store, clock, enabled=False)
    for _ in range(5):
        await worker.call([line()])
    assert worker.network.asked == ["reserve", "settle"] * 5
    assert await account(store, clock) == Standing(5)


async def test_a_busy_account_is_spent_from_without_a_round_trip(worker):
    await worker.warm(line(), line("b", 2), streams())
    lines = [line(), line("b", 2), streams()]
    grant = at_once(worker.reserving(lines, "mine"))
    assert grant == Grant(0, (Standing(4, 1), Standing(8, 2), Standing(0, 1)))
    settled = at_once(worker.settling("mine", list(zip(lines, [1, 2, 0], strict=True))))
    assert settled.standings == (Standing(5), Standing(10), Standing(0))
    assert settled.warned == ()
    assert worker.network.asked == []


async def test_the_store_holds_what_a_slice_may_spend(worker, store, clock):
    await worker.warm(line())
    standing = await account(store, clock)
    assert standing.used == 3
    assert 8 <= standing.reserved <= 100


async def test_two_requests_do_not_make_an_account_busy(worker):
    await worker.call([line()])
    await worker.call([line()])
    assert worker.network.asked == ["reserve", "settle"] * 2


async def test_requests_far_apart_do_not_either(worker, clock):
    for _ in range(6):
        await worker.call([line()])
        clock.advance(worker.terms.idle_s + 0.1)
    assert worker.network.asked == ["reserve", "settle"] * 6


async def test_a_slice_with_room_for_few_requests_is_not_taken(worker, store, clock):
    for _ in range(5):
        await worker.call([line(need=20)])
    assert worker.network.asked == ["reserve", "settle"] * 5  # a tenth of 1000 has room for 5
    assert await account(store, clock) == Standing(100)


async def test_streams_have_slices_of_an_eighth(worker, store, clock):
    await worker.warm(streams(64))
    assert 4 <= (await account(store, clock, "streams")).reserved <= 8


async def test_a_line_that_needs_nothing_does_not_keep_the_others_from_their_slices(worker):
    lines = [line(), line("free", 0)]
    await worker.warm(*lines)
    assert isinstance(at_once(worker.reserving(lines)), Grant)


async def test_the_same_account_twice_is_held_twice(worker):
    await worker.warm(line())
    slice_of_it = worker.ledger._leases[TENANT, "a"].slice
    lines = [line(need=slice_of_it.size // 2 + 1)] * 2
    name = worker.name()
    assert isinstance(await worker.reserve(lines, name), Grant)
    assert worker.network.asked  # one of the two had no room in the slice
    await worker.settling(name, [(lines[0], 5), (lines[1], 6)])
    (standing,) = await worker.ledger.read(TENANT, [lines[0].account], now=worker.clock.now())
    assert standing == Standing(4 + 11)


async def test_what_a_slice_has_no_room_for_is_asked_for(worker, store, clock):
    await worker.warm(line())
    name = worker.name()
    assert isinstance(await worker.reserve([line(need=300)], name), Grant)
    assert worker.network.asked[0] == "reserve"
    assert (await account(store, clock)).reserved >= 300
    await worker.settling(name, [(line(), 250)])
    assert (await worker.ledger.read(TENANT, [line().account], now=clock.now()))[0].used == 254


async def test_bad_numbers_are_refused(worker):
    await worker.warm(line())
    for given in ({"tokens": -1}, {"least": -1}):
        with pytest.raises(ValueError, match="whole number"):
            await worker.reserve([line()], **given)
    with pytest.raises(ValueError, match="whole number"):
        await worker.settling("r", [(line(), -1)])


async def test_a_reservation_is_settled_once(worker):
    await worker.warm(line())
    at_once(worker.reserving([line()], "mine"))
    assert await worker.settling("mine", [(line(), 1)])
    assert await worker.settling("mine", [(line(), 1)]) is None
    assert await worker.settling("nobody's", [(line(), 1)]) is None


async def test_a_release_charges_nothing(worker):
    await worker.warm(line())
    at_once(worker.reserving([line(need=5)], "mine"))
    assert at_once(worker.settling("mine", [])).standings == ()
    assert at_once(worker.reserving([line()])).standings == (Standing(4, 1),)


class TestNearTheEnd:
    async def test_what_is_in_hand_goes_back_before_a_request_is_denied(self, worker, store, clock):
        await worker.warm(line())
        whole = line(need=1000 - 4)
        assert isinstance(await worker.reserve([whole]), Grant)
        assert await account(store, clock) == Standing(4, 996)

    async def test_and_before_it_gets_fewer_tokens_than_there_are(self, worker):
        await worker.warm(line())
        grant = await worker.reserve([per_token()], tokens=5000, least=1)
        assert grant.tokens == 996

    async def test_a_real_denial_stays_one(self, worker):
        await worker.warm(line(), line("b"))
        answer = await worker.reserve([line(), line("b", 1000)])
        assert answer == Denial((1,), (Standing(4), Standing(4)))
        assert at_once(worker.reserving([line()])).standings == (Standing(4, 1),)  # nothing stayed held

    async def test_a_denial_shows_what_calls_hold_and_no_slice(self, worker):
        await worker.warm(line())
        at_once(worker.reserving([line(need=7)]))
        answer = await worker.reserve([line(need=990)])
        assert answer == Denial((0,), (Standing(4, 7),))

    async def test_one_process_can_use_all_of_a_budget(self, store, clock):
        worker = Worker(store, clock, share=0.25)
        for _ in range(100):
            await worker.call([line(need=10), streams()])
        assert is_denied(await worker.reserve([line(need=1)]))
        assert await account(store, clock) == Standing(1000)

    async def test_an_account_without_room_in_the_store_can_still_be_spent_from_the_slice(
        self, worker, other
    ):
        await worker.warm(line())
        left = worker.ledger._leases[TENANT, "a"].slice.size
        await other.reserve([line(need=1000 - 3 - left)])
        wide = line("wide", 200)
        name = worker.name()
        assert isinstance(await worker.reserve([line(), wide], name), Grant)
        await worker.settling(name, [(line(), 1), (wide, 100)])
        assert (await worker.ledger.read(TENANT, [wide.account], now=worker.clock.now()))[0].used == 100

    async def test_fewer_tokens_are_held_in_the_slice_too(self, worker):
        await worker.warm(line())
        tight = per_token("tight", limit=20)
        wide = Line(line().account, 1000, 0, PER // 2)
        name = worker.name()
        assert (await worker.reserve([wide, tight], name, tokens=100, least=1)).tokens == 20
        assert worker.ledger._leases[TENANT, "a"].held in (0, 10)
        await worker.settling(name, [(wide, 10), (tight, 20)])
        assert worker.ledger._leases[TENANT, "a"].held == 0


class TestCharges:
    async def test_more_than_was_held_is_charged_all_the_same(self, worker, store, clock):
        await worker.warm(line())
        await worker.call([line()], [400])
        await worker.close()
        assert await account(store, clock) == Standing(404)

    async def test_the_warning_comes_with_the_slices_settlement_and_once(self, worker, store, clock):
        warned = line(warn_from=6)
        await worker.warm(warned)
        for _ in range(8):
            at_once(worker.reserving([warned], name := worker.name()))
            at_once(worker.settling(name, [(warned, 1)]))
        assert not worker.warned
        for _ in range(2):
            clock.advance(2)
            await worker.tend()
        ((tenant, told, standing),) = worker.warned
        assert (tenant, told.account, told.limit) == (TENANT, warned.account, 1000)
        assert standing.used == 12

    async def test_a_top_up_in_the_slice_costs_no_round_trip(self, worker, store, clock):
        await worker.warm(line(), line("b"))
        at_once(worker.reserving([line()], "mine"))
        grant = at_once(worker.reserving([line(need=3), line("b", 2)], "mine"))
        assert grant.standings == (Standing(4, 4), Standing(4, 2))
        at_once(worker.settling("mine", [(line(), 4), (line("b"), 2)]))
        await worker.close()
        assert await account(store, clock) == Standing(8)
        assert await account(store, clock, "b") == Standing(6)

    async def test_a_top_up_by_fewer_tokens_holds_no_more_in_the_slice(self, worker):
        await worker.warm(line())
        await worker.reserve([line()], "mine")
        wide, tight = Line(line().account, 1000, 0, PER // 2), per_token("tight", limit=20)
        assert (await worker.reserve([wide, tight], "mine", tokens=100, least=1)).tokens == 20
        assert worker.ledger._leases[TENANT, "a"].held == 1 + 10
        await worker.settling("mine", [(wide, 3), (tight, 20)])
        assert worker.ledger._leases[TENANT, "a"].held == 0

    @pytest.mark.parametrize("charge", [0, 3, 200, 306, 400])
    async def test_slice_and_store_share_the_charge_of_what_both_hold(self, worker, store, clock, charge):
        await worker.warm(line())
        at_once(worker.reserving([line(need=6)], "mine"))
        assert isinstance(await worker.reserve([line(need=300)], "mine"), Grant)
        settled = await worker.settling("mine", [(line(), charge)])
        assert settled.standings[0].used == 4 + charge
        standing = await account(store, clock)
        assert standing.used + standing.reserved <= 110 + max(0, charge)
        await worker.close()
        assert await account(store, clock) == Standing(4 + charge)

    async def test_a_charge_of_both_is_counted_once_though_the_store_had_to_be_told_twice(
        self, worker, store, clock
    ):
        await worker.warm(line())
        at_once(worker.reserving([line(need=6)], "mine"))
        await worker.reserve([line(need=300)], "mine")
        worker.network.cut = True
        with pytest.raises(StoreUnavailable):
            await worker.settling("mine", [(line(), 200)])
        worker.network.cut = False
        assert await worker.settling("mine", [(line(), 200)])
        await worker.close()
        assert await account(store, clock) == Standing(204)

    @pytest.mark.parametrize("happened", [True, False])
    async def test_a_top_up_without_an_answer_is_let_go(self, worker, store, clock, happened):
        await worker.warm(line())
        at_once(worker.reserving([line(need=6)], "mine"))
        worker.network.cut, worker.network.losing = not happened, 1
        with pytest.raises(StoreUnavailable):
            await worker.reserve([line(need=300)], "mine")
        worker.network.cut, worker.network.losing = False, 0
        assert await worker.settling("mine", [(line(), 10)])
        await worker.close()
        assert await account(store, clock) == Standing(14)

    async def test_a_charge_to_an_account_that_was_not_held_counts(self, worker, store, clock):
        await worker.warm(line())
        at_once(worker.reserving([line()], "mine"))
        assert await worker.settling("mine", [(line(), 1), (line("new"), 9)])
        await worker.close()
        assert await account(store, clock) == Standing(5)
        assert await account(store, clock, "new") == Standing(9)

    async def test_a_cancelled_reserve_holds_nothing_once_it_is_settled(self, worker, store, clock):
        await worker.warm(line())
        worker.network.slow.clear()
        asking = asyncio.ensure_future(worker.reserve([line(need=6), line("b", 3)], "mine"))
        await rest(5)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        worker.network.slow.set()
        await worker.settling("mine", [])
        assert worker.ledger._leases[TENANT, "a"].held == 0
        assert await account(store, clock, "b") == Standing()

    async def test_take_spends_the_slice_or_what_fits(self, worker, store, clock):
        await worker.warm(line())
        assert at_once(worker.ledger.take(TENANT, [(line(), 5)], now=clock.now())) == (5,)
        assert await worker.ledger.take(TENANT, [(line(), 2000)], now=clock.now()) == (991,)
        assert await account(store, clock) == Standing(1000)


class TestReports:
    async def test_read_settles_first(self, worker, store, clock):
        await worker.warm(line())
        at_once(worker.reserving([line(need=6)]))
        accounts = [line().account, Account("unknown", 2e9)]
        standings = await worker.ledger.read(TENANT, accounts, now=clock.now())
        assert standings == (Standing(4, 6), Standing())
        assert await account(store, clock) == Standing(4, 6)

    async def test_reset_forgets_what_slices_spent(self, worker, store, clock):
        await worker.warm(line())
        at_once(worker.reserving([line(need=6)], "long"))
        await worker.ledger.reset(TENANT, [line().account, line("b").account], now=clock.now())
        assert await account(store, clock) == Standing(0, 6)
        at_once(worker.settling("long", [(line(), 5)]))
        await worker.close()
        assert await account(store, clock) == Standing(5)

    async def test_reset_does_so_too_where_calls_could_not_move(self, worker, other, store, clock):
        await worker.warm(line())
        at_once(worker.reserving([line(need=60)], "long"))
        standing = await account(store, clock)
        await other.reserve([line(need=1000 - standing.used - standing.reserved)], "whole")
        await worker.ledger.reset(TENANT, [line().account], now=clock.now())
        await other.settling("whole", [])
        at_once(worker.settling("long", [(line(), 5)]))
        await worker.close()
        assert await account(store, clock) == Standing(5)

    async def test_held_counts_calls_and_no_slices(self, worker, store, clock):
        await worker.warm(line())
        assert await worker.ledger.held(TENANT, now=clock.now()) == 0
        await worker.warm(line())
        for _ in range(3):
            at_once(worker.reserving([line()]))
        await worker.reserve([line("b")])
        assert await worker.ledger.held(TENANT, now=clock.now()) == 4

    async def test_renewing_what_is_in_slices_costs_nothing(self, worker, clock):
        await worker.warm(line())
        at_once(worker.reserving([line()], "mine"))
        renewing = worker.ledger.renew(TENANT, ["mine"], now=clock.now(), expires_at=clock.now() + 9)
        assert at_once(renewing) == 1
        await worker.reserve([line("b")], "asked")
        worker.network.forget()
        names = ["mine", "asked", "nobody's"]
        ends = clock.now() + 9
        assert await worker.ledger.renew(TENANT, names, now=clock.now(), expires_at=ends) == 2
        assert worker.network.asked == ["renew"]
