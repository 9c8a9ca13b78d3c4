"""Pages of the past become one fold, whoever dies in the middle of it, and nothing counts twice."""

import random

import pytest
from experiment_bits import KEYRING, experiment

from penstock import testing
from penstock.errors import StoreUnavailable
from penstock.experiment import totals as module
from penstock.experiment.tally import CLOSED_S, PAGE_S, TABLE, Cell, Tally
from penstock.experiment.totals import FORGOTTEN_S, Totals
from penstock.stores.keyring import Keyring
from penstock.stores.memory import MemoryRecords

ITS = experiment()
CELL = Cell.of("e", ITS, "control")
OTHER = Cell.of("e", ITS, "treatment")
LIVE = [("e", ITS.digest)]
LONG = CLOSED_S + 2 * PAGE_S


@pytest.fixture
def records():
    return MemoryRecords()


@pytest.fixture
def clock():
    return testing.FrozenClock()


async def keys(records):
    return sorted((await records.read(TABLE))[1] or {})


async def requests(records, cell=CELL):
    """Give what a reader that comes now would say."""
    told = await Totals(records, KEYRING).look()
    return told[cell].requests if cell in told else 0


async def count(records, clock, number=1, cell=CELL, tally=None):
    tally = tally or Tally(records, KEYRING, clock)
    tally.of(cell).requests += number
    await tally.flush()
    return tally


async def test_ended_processes_become_one_record(records, clock):
    for _ in range(5):
        await count(records, clock)
        await count(records, clock, 10, OTHER)
    assert len(await keys(records)) == 10
    clock.advance(LONG)
    totals = Totals(records, KEYRING, clock)
    await totals.fold(LIVE)
    await totals.fold(LIVE)
    assert len(await keys(records)) == 2
    assert all(int(key.rpartition("/~")[2]) % PAGE_S == 0 for key in await keys(records)), "one for each hour"
    assert (await requests(records), await requests(records, OTHER)) == (5, 50)


async def test_what_was_counted_is_the_same_folded(records, clock):
    rng = random.Random(1)  # noqa: S311
    for _ in range(4):
        tally = Tally(records, KEYRING, clock)
        for _ in range(20):
            tally.of(CELL).add("cost_usd", rng.random(), rng.randrange(32))
        await tally.flush()
    before = (await Totals(records, KEYRING).look())[CELL].sample("cost_usd")
    clock.advance(LONG)
    await Totals(records, KEYRING, clock).fold(LIVE)
    after = (await Totals(records, KEYRING).look())[CELL].sample("cost_usd")
    assert (after.n, after.used) == (before.n, before.used)
    assert after.total == pytest.approx(before.total)
    assert after.squares == pytest.approx(before.squares)
    assert after.clustered_variance == pytest.approx(before.clustered_variance)


async def test_young_pages_are_left_alone(records, clock):
    tally = await count(records, clock)
    clock.advance(CLOSED_S - PAGE_S / 2)
    page = await keys(records)
    await Totals(records, KEYRING, clock).fold(LIVE)
    assert await keys(records) == page
    assert tally is not None


async def test_a_process_that_lives_on_is_folded_page_by_page(records, clock):
    tally, totals = None, Totals(records, KEYRING, clock)
    for hour in range(1, 60):
        tally = await count(records, clock, tally=tally)
        assert await requests(records) == hour
        clock.advance(PAGE_S)
        await tally.flush()  # as every two seconds: it turns the page
        await totals.fold(LIVE)
        assert await requests(records) == hour
    assert len(await keys(records)) < 8


class Dying(MemoryRecords):
    """Records that are gone after so many writes."""

    def __init__(self):
        super().__init__()
        self.left = 1_000_000

    async def put(self, table, records):
        self._write()
        await super().put(table, records)

    async def delete(self, table, key):
        self._write()
        return await super().delete(table, key)

    def _write(self):
        if not self.left:
            raise StoreUnavailable("dead")
        self.left -= 1


@pytest.mark.parametrize("writes", range(8))
async def test_a_crash_anywhere_counts_nothing_twice_and_loses_nothing(clock, writes):
    records = Dying()
    for _ in range(3):
        await count(records, clock)
    clock.advance(LONG)
    await Totals(records, KEYRING, clock).fold(LIVE)
    await count(records, clock, 100)
    clock.advance(LONG)
    records.left = writes  # a fold, and the deletion of three pages and of the fold before
    totals = Totals(records, KEYRING, clock)
    for _ in range(2):
        try:
            await totals.fold(LIVE)
        except StoreUnavailable:
            break
        assert await requests(records) == 103
    assert await requests(records) == 103
    records.left = 100
    for _ in range(2):
        await Totals(records, KEYRING, clock).fold(LIVE)
        assert await requests(records) == 103
    assert len(await keys(records)) == 1


@pytest.mark.parametrize("later_s", [0, PAGE_S, 10 * PAGE_S])
async def test_two_that_fold_at_once_do_the_same(records, clock, monkeypatch, later_s):
    for _ in range(3):
        await count(records, clock)
    clock.advance(PAGE_S)
    await count(records, clock, 10)
    clock.advance(CLOSED_S)
    slow, put = Totals(records, KEYRING, clock), records.put
    delayed = []

    async def late(table, written):
        delayed.append(written)

    monkeypatch.setattr(records, "put", late)
    await slow.fold(LIVE)  # it has read, and is suspended before it writes
    monkeypatch.setattr(records, "put", put)
    clock.advance(later_s)
    for _ in range(3):
        await Totals(records, KEYRING, clock).fold(LIVE)
    assert await requests(records) == 13
    for written in delayed:
        await put(TABLE, written)
    assert await requests(records) == 13
    for _ in range(3):
        await Totals(records, KEYRING, clock).fold(LIVE)
        assert await requests(records) == 13


async def test_after_a_long_outage_a_process_begins_a_page_that_nobody_has_folded(records, clock):
    tally = await count(records, clock)
    records.gone = True
    for _ in range(5):
        tally.of(CELL).requests += 1
        with pytest.raises(StoreUnavailable):
            await tally.flush()
        clock.advance(PAGE_S)
    records.gone = False
    await Totals(records, KEYRING, clock).fold(LIVE)
    await tally.flush()
    assert await requests(records) == 6


async def test_a_suspended_process_that_wakes_after_days_loses_nothing(records, clock):
    tally = await count(records, clock, 2)
    tally.of(CELL).requests += 3  # counted, not yet written
    clock.advance(3 * 86_400)
    await Totals(records, KEYRING, clock).fold(LIVE)
    await tally.flush()
    assert await requests(records) == 5


async def test_what_is_in_no_policy_is_forgotten_in_time(records, clock):
    gone = Cell("gone", "d1", "control")
    await count(records, clock)
    await count(records, clock, cell=gone)
    clock.advance(LONG)
    totals = Totals(records, KEYRING, clock)
    await totals.fold(LIVE)
    assert await requests(records, gone) == 1  # it may come back
    clock.advance(FORGOTTEN_S)
    await totals.fold(LIVE)
    assert (await requests(records), await requests(records, gone)) == (1, 0)
    assert not any(key.startswith("gone/") for key in await keys(records))


async def test_one_round_deletes_only_so_much(records, clock, monkeypatch):
    monkeypatch.setattr(module, "_MOST_DELETED", 2)
    for _ in range(5):
        await count(records, clock)
    clock.advance(LONG)
    totals = Totals(records, KEYRING, clock)
    sizes = []
    for _ in range(5):
        await totals.fold(LIVE)
        sizes.append(len(await keys(records)))
        assert await requests(records) == 5
    assert sizes == [6, 4, 2, 1, 1]


async def test_a_fold_with_nothing_to_do_writes_nothing(records, clock):
    await count(records, clock)
    version, _ = await records.read(TABLE)
    await Totals(records, KEYRING, clock).fold(LIVE)
    assert (await records.read(TABLE))[0] == version


@pytest.mark.parametrize("way", ["another keyring", "a fold that says it holds more"])
async def test_a_forged_fold_hides_nothing(records, clock, way, caplog):
    await count(records, clock)
    clock.advance(LONG)
    await Totals(records, KEYRING, clock).fold(LIVE)
    (key, *_), table = await keys(records), (await records.read(TABLE))[1]
    place, _, upto = next(at for at in table if "/~" in at).rpartition("~")
    forged = f"{place}~{int(upto) + 10 * LONG}"
    sealed = table[f"{place}~{upto}"]
    if way == "another keyring":
        sealed = Keyring(b"x" * 32).seal("experiment tally", b"", forged.encode())
    await records.put(TABLE, {forged: sealed})
    assert await requests(records) == 1
    assert "does not count" in caplog.text
    assert key


async def test_a_record_without_a_date_is_old(records, clock):
    """One whose name is not of this version's form breaks nothing: it counts until the first fold does."""
    tally = Tally(records, KEYRING, clock)
    tally._name = "0123456789ab"
    await count(records, clock, tally=tally)
    assert await requests(records) == 1
    await Totals(records, KEYRING, clock).fold(LIVE)
    assert await requests(records) == 1
