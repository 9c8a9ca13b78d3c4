"""A verdict is seen by every process, sealed for its experiment, and kept when the store is gone."""

import asyncio

import pytest
from experiment_bits import KEYRING

from penstock.errors import StoreUnavailable
from penstock.experiment.verdicts import TABLE, Verdict, Verdicts
from penstock.stores.keyring import Keyring
from penstock.stores.memory import MemoryRecords

STOPPED = Verdict("stopped", "control", "guardrail", 1.0, "error is worse")
PROMOTED = Verdict("promoted", "treatment", "cli", 2.0)


@pytest.fixture
def records():
    return MemoryRecords()


async def test_what_one_says_all_see(records):
    here, there = Verdicts(records, KEYRING), Verdicts(records, KEYRING)
    await here.put("e", STOPPED)
    await there.look()
    assert here.known == there.known == {"e": STOPPED}
    await there.put("e", PROMOTED)
    await here.look()
    assert here.known == {"e": PROMOTED}


async def test_it_is_seen_without_being_asked(records):
    there = Verdicts(records, KEYRING)
    records.gone = True
    await there.start()
    assert there.known == {}
    records.gone = False
    await Verdicts(records, KEYRING).put("e", STOPPED)
    async with asyncio.timeout(5):
        while not there.known:  # noqa: ASYNC110 - it looks by itself
            await asyncio.sleep(0.01)
    await there.stop()
    await Verdicts(records, KEYRING).stop()  # one that was never started


async def test_a_store_that_is_gone_changes_nothing(records):
    verdicts = Verdicts(records, KEYRING)
    await verdicts.put("e", STOPPED)
    records.gone = True
    with pytest.raises(StoreUnavailable):
        await verdicts.look()
    assert verdicts.known == {"e": STOPPED}


@pytest.mark.parametrize("way", ["moved", "another keyring", "nonsense"])
async def test_what_was_not_sealed_here_for_its_place_does_not_count(records, way, caplog):
    verdicts = Verdicts(records, KEYRING)
    await verdicts.put("e", STOPPED)
    sealed = ((await records.read(TABLE))[1] or {})["e"]
    text = {
        "moved": sealed,
        "another keyring": Keyring(b"x" * 32).seal("experiment verdict", b"", b"other"),
        "nonsense": KEYRING.seal("experiment verdict", b"\xc1", b"other"),
    }[way]
    await records.put(TABLE, {"other": text})
    await verdicts.look()
    assert verdicts.known == {"e": STOPPED}
    assert "does not count" in caplog.text
