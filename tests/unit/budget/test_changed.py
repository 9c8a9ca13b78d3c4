"""Changed limits: seen by every process, sealed for their place, and kept when the store is gone."""

import asyncio

import pytest

from penstock.budget.changed import TABLE, ChangedLimits
from penstock.errors import StoreUnavailable
from penstock.stores.keyring import Keyring
from penstock.stores.memory import MemoryRecords
from unit.budget.budget_bits import applied

KEYRING = Keyring(bytes(32))
KEY = applied().key


@pytest.fixture
def records() -> MemoryRecords:
    return MemoryRecords()


async def test_what_one_process_sets_another_sees(records: MemoryRecords):
    here, there = ChangedLimits(records, KEYRING), ChangedLimits(records, KEYRING)
    await here.set("acme", applied(amount=7))
    assert here.amounts == {("acme", KEY): 7}
    await there.look()
    assert there.amounts == here.amounts
    await there.set("globex", applied(amount=9, model="org/model:7b"))
    await here.look()
    assert here.amounts == {("acme", KEY): 7, ("globex", f"{KEY}org/model:7b"): 9}


async def test_a_change_can_be_taken_back(records: MemoryRecords):
    limits = ChangedLimits(records, KEYRING)
    await limits.set("acme", applied(amount=7))
    assert await limits.forget("acme", applied())
    assert limits.amounts == {}
    assert not await limits.forget("acme", applied())


@pytest.mark.parametrize("way", ["moved", "written", "another keyring"])
async def test_what_was_not_sealed_here_for_its_place_does_not_count(
    records: MemoryRecords, way: str, caplog
):
    limits = ChangedLimits(records, KEYRING)
    await limits.set("acme", applied(amount=7_777))
    (place,) = (await records.read(TABLE))[1] or {}
    sealed = ((await records.read(TABLE))[1] or {})[place]
    forged = {
        "moved": {"globex/" + KEY: sealed},
        "written": {"globex/" + KEY: b"7777"},
        "another keyring": {
            "globex/" + KEY: Keyring(b"x" * 32).seal("limits", b"7", f"globex/{KEY}".encode())
        },
    }[way]
    await records.put(TABLE, forged)
    await limits.look()
    assert limits.amounts == {("acme", KEY): 7_777}
    assert "a changed limit of globex was not written by this keyring" in caplog.text


async def test_a_store_that_is_gone_changes_nothing(records: MemoryRecords):
    limits = ChangedLimits(records, KEYRING)
    await limits.set("acme", applied(amount=7))
    records.gone = True
    with pytest.raises(StoreUnavailable):
        await limits.look()
    assert limits.amounts == {("acme", KEY): 7}


async def test_it_starts_without_a_store_and_sees_it_come(records: MemoryRecords):
    await ChangedLimits(records, KEYRING).set("acme", applied(amount=7))
    records.gone = True
    limits = ChangedLimits(records, KEYRING)
    await limits.start()
    assert limits.amounts == {}
    records.gone = False
    async with asyncio.timeout(5):
        while not limits.amounts:  # noqa: ASYNC110 - it looks by itself
            await asyncio.sleep(0.01)
    await limits.stop()
    await ChangedLimits(records, KEYRING).stop()  # one that was never started
