"""Holds: slices pay what they held, once; the store pays the rest."""

import pytest

from penstock.budget.holds import Hold, let_go
from penstock.budget.slices import Lease, Slice, bare
from unit.budget.lease_house import line


def lease(name="a", held=0):
    return Lease("acme", bare(line(name)), Slice("s", 1000, 100, 0.0, 9.0), held=held)


@pytest.mark.parametrize(("charge", "spent", "rest"), [(0, 0, 0), (4, 4, 0), (6, 6, 0), (9, 6, 3)])
async def test_a_slice_pays_no_more_than_it_held(charge, spent, rest):
    its = lease(held=10)
    hold = Hold([(its, 6)])
    assert hold.spend([(line(), charge)]) == [(line(), rest)]
    assert (its.held, its.slice.spent) == (4, spent)


async def test_it_pays_once_though_it_is_asked_again():
    its = lease(held=6)
    hold = Hold([(its, 6)])
    for _ in range(2):
        assert hold.spend([(line(), 9)]) == [(line(), 3)]
    assert (its.held, its.slice.spent) == (0, 6)


async def test_what_was_held_twice_of_an_account_is_one_amount():
    its = lease(held=6)
    hold = Hold([(its, 2), (its, 4)])
    assert [rest for _, rest in hold.spend([(line(), 5), (line(), 5)])] == [0, 4]
    assert (its.held, its.slice.spent) == (0, 6)


async def test_an_account_that_no_slice_held_is_the_stores_to_charge():
    its = lease(held=6)
    hold = Hold([(its, 6)])
    assert hold.spend([(line("b"), 5)]) == [(line("b"), 5)]
    assert (its.held, its.slice.spent) == (0, 0)


async def test_letting_go_ends_every_part():
    its, other = lease(held=6), lease("b", held=3)
    let_go([(its, 2), (other, 3), (its, 1)])
    assert (its.held, other.held) == (3, 0)
