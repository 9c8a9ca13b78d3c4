"""Slices: what a lease holds, spends, and knows of its account."""

import pytest

from penstock.budget.policy import Leases
from penstock.budget.slices import Lease, Slice, bare
from penstock.stores.ledger import Account, Line, Standing
from unit.budget.lease_house import line, streams

MOMENT = 100.0


def a_slice(size=100, limit=1000, name="one"):
    return Slice(name, limit, size, MOMENT, MOMENT + 30)


@pytest.fixture
async def lease():
    return Lease("acme", bare(line()), a_slice())


async def test_holding_gives_what_is_free_then(lease):
    assert lease.hold(line(), 60, MOMENT) == 40
    lease.spend(30)
    assert lease.hold(line(), 10, MOMENT + 1) == 0
    assert (lease.held, lease.free, lease.touched_at) == (70, 0, MOMENT + 1)


@pytest.mark.parametrize(
    ("limit", "amount", "after_s"), [(1000, 101, 0), (1000, 1, 30), (999, 1, 0), (1001, 1, 0)]
)
async def test_without_room_life_or_the_same_limit_nothing_is_held(lease, limit, amount, after_s):
    assert lease.hold(line(limit=limit), amount, MOMENT + after_s) < 0
    assert (lease.held, lease.touched_at) == (0, 0.0)


async def test_a_slice_that_is_shut_or_gone_holds_nothing(lease):
    lease.shut = True
    assert lease.hold(line(), 1, MOMENT) < 0
    lease.shut = False
    lease.end()
    assert lease.hold(line(), 0, MOMENT) < 0
    assert (lease.free, lease.loose) == (0, False)


async def test_a_slice_is_loose_while_it_has_room_or_something_to_tell(lease):
    assert lease.loose
    lease.hold(line(), 100, MOMENT)
    assert not lease.loose
    lease.spend(1)
    assert lease.loose


async def test_what_the_store_says_is_told_without_slices_and_with_what_they_spent(lease):
    lease.hold(line(), 7, MOMENT)
    lease.spend(3)
    assert lease.see(Standing(50, 120, 5)) == Standing(53, 20 + 7, 5)


async def test_a_closed_slice_counts_until_it_is_settled(lease):
    lease.spend(3)
    lease.hold(line(), 7, MOMENT)
    old = lease.begin(a_slice(50, name="two"))
    assert old.reservation == "one"
    assert lease.see(Standing(0, 150)) == Standing(3, 7)
    lease.settled(old)
    assert lease.see(Standing(3, 50)) == Standing(3, 7)


async def test_the_next_slice_is_due_when_a_quarter_is_left(lease):
    lease.held = 20
    lease.begin(a_slice(100))
    assert lease.low == 20


async def test_a_reset_forgets_what_was_spent(lease):
    lease.see(Standing(50, 100, 5))
    lease.spend(3)
    lease.forgive()
    assert lease.standing() == Standing()


@pytest.mark.parametrize(
    ("used", "need", "spare"), [(0, 1, 20), (0, 2, 20), (0, 3, 0), (600, 1, 8), (601, 1, 0)]
)
async def test_a_slice_has_room_for_eight_requests_or_is_not_taken(used, need, spare):
    lease = Lease("acme", bare(line()), need=need, used=used)
    assert lease.spare(Leases(share=0.02)) == spare


@pytest.mark.parametrize(("held", "spare"), [(0, 8), (32, 4), (33, 0)])
async def test_streams_are_lent_by_the_eighth_while_there_are_enough(held, spare):
    lease = Lease("acme", bare(streams(64)), others=held)
    assert lease.spare(Leases(share=0.02)) == spare


async def test_asking_again_soon_makes_an_account_busy(lease):
    for moment in (0.0, 0.5, 1.0, 3.0, 3.9):
        lease.ask(line(), 5, moment, idle_s=1.0)
    assert lease.asks == 2
    lease.end()
    assert lease.asks == 0


async def test_what_a_request_needs_follows_the_requests(lease):
    needs = []
    for amount in (100, 10, 10, 10, 10, 10):
        lease.ask(line(), amount, 0.0, 1.0)
        needs.append(lease.need)
    assert needs == [100, 50, 25, 12, 10, 10]


async def test_a_changed_limit_or_warning_is_learned(lease):
    changed = Line(Account("a", 2e9), 500, 1, warn_from=400)
    lease.ask(changed, 1, 0.0, 1.0)
    assert (lease.line.limit, lease.line.warn_from) == (500, 400)
