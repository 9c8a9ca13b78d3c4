"""What processes count adds up, whoever dies; foreign records don't count; a lost store loses nothing."""

import asyncio
import random

import pytest
from experiment_bits import KEYRING, experiment
from prometheus_client import REGISTRY

from penstock import testing
from penstock.errors import StoreUnavailable
from penstock.experiment.tally import PAGE_S, TABLE, Cell, Counts, Moments, Tally, metrics_of
from penstock.experiment.totals import Totals
from penstock.stores.keyring import Keyring
from penstock.stores.memory import MemoryRecords

CELL = Cell.of("e", experiment(), "control")
OTHER = Cell.of("e", experiment(), "treatment")


@pytest.fixture
def records():
    return MemoryRecords()


async def totals(records, keyring=KEYRING):
    return await Totals(records, keyring).look()


async def test_processes_add_up(records):
    one, two = Tally(records, KEYRING), Tally(records, KEYRING)
    one.of(CELL).add("cost_usd", 2.0, 3)
    one.of(CELL).requests += 1
    two.of(CELL).add("cost_usd", 4.0, 5)
    two.of(OTHER).hits += 2
    await one.flush()
    await two.flush()
    told = await totals(records)
    sample = told[CELL].sample("cost_usd")
    assert (sample.n, sample.total, sample.squares, sample.used) == (2, 6, 20, 2)
    assert (told[CELL].requests, told[OTHER].hits) == (1, 2)


async def test_what_a_dead_process_counted_stays_and_goes_on_from_there(records):
    dead = Tally(records, KEYRING)
    dead.of(CELL).add("error", 1.0, 0)
    await dead.flush()
    del dead
    heir = Tally(records, KEYRING)
    for _ in range(3):
        heir.of(CELL).add("error", 0.0, 0)
        await heir.flush()  # again and again: it replaces its own, and adds nothing twice
    assert (await totals(records))[CELL].sample("error").n == 4


async def test_a_store_that_is_gone_loses_nothing(records):
    tally = Tally(records, KEYRING)
    tally.of(CELL).add("error", 1.0, 0)
    records.gone = True
    with pytest.raises(StoreUnavailable):
        await tally.flush()
    records.gone = False
    await tally.flush()
    assert (await totals(records))[CELL].sample("error").total == 1


async def test_nothing_new_is_not_written(records):
    tally = Tally(records, KEYRING)
    tally.of(CELL).requests += 1
    await tally.flush()
    version, _ = await records.read(TABLE)
    await tally.flush()
    assert (await records.read(TABLE))[0] == version


async def test_totals_are_read_again_only_when_they_changed(records):
    tally, reader = Tally(records, KEYRING), Totals(records, KEYRING)
    tally.of(CELL).requests += 1
    await tally.flush()
    first = await reader.look()
    assert await reader.look() is first
    tally.of(CELL).requests += 1
    await tally.flush()
    assert (await reader.look())[CELL].requests == 2


@pytest.mark.parametrize("way", ["another keyring", "moved", "nonsense"])
async def test_what_was_not_written_here_does_not_count(records, way, caplog):
    tally = Tally(records, Keyring(b"x" * 32) if way == "another keyring" else KEYRING)
    tally.of(CELL).requests += 1
    await tally.flush()
    ((key, sealed),) = ((await records.read(TABLE))[1] or {}).items()
    if way == "moved":
        await records.delete(TABLE, key)
        await records.put(TABLE, {key.replace("control", "treatment"): sealed})
    elif way == "nonsense":
        await records.put(TABLE, {key: KEYRING.seal("experiment tally", b"\xc1", key.encode())})
    assert await totals(records) == {}
    assert "does not count" in caplog.text


async def test_no_value_stands_in_the_records_in_the_clear(records):
    tally = Tally(records, KEYRING)
    tally.of(CELL).add("cost_usd", 1.0, 0)
    await tally.flush()
    ((_, sealed),) = ((await records.read(TABLE))[1] or {}).items()
    assert b"cost_usd" not in sealed


def test_moments_are_the_sums():
    rng = random.Random(3)  # noqa: S311
    values = [(rng.uniform(-5, 5), rng.randrange(32)) for _ in range(500)]
    whole, parts = Moments(), [Moments(), Moments()]
    for place, (value, bucket) in enumerate(values):
        whole.add(value, bucket)
        parts[place % 2].add(value, bucket)
    parts[0].merge(parts[1])
    assert parts[0].n == whole.n == 500
    assert parts[0].totals == pytest.approx(whole.totals)
    mean = sum(value for value, _ in values) / 500
    counts = Counts(metrics={"cost_usd": whole})
    assert counts.sample("cost_usd").mean == pytest.approx(mean)
    expected = sum((value - mean) ** 2 for value, _ in values) / 499
    assert counts.sample("cost_usd").variance == pytest.approx(expected)


def test_what_belongs_to_a_counted_request_makes_no_second_one():
    counts = Counts()
    counts.add("unhappy", 0.0, 4)
    counts.add("unhappy", 0.5, 4, n=0)
    sample = counts.sample("unhappy")
    assert (sample.n, sample.mean) == (1, 0.5)


def test_counts_merge_what_only_one_has_seen():
    one, two = Counts(requests=1), Counts(requests=2, hits=1, excluded=1)
    two.add("error", 1.0, 0)
    one.merge(two)
    assert (one.requests, one.hits, one.excluded) == (3, 1, 1)
    assert [metric for metric, _ in metrics_of(one)] == ["error"]


def test_a_changed_experiment_is_another_cell():
    changed = Cell.of("e", experiment({"cache": {"ttl_s": 1}}), "control")
    assert changed != CELL
    assert changed.key != CELL.key


async def test_a_page_is_written_for_an_hour(records):
    clock = testing.FrozenClock()
    tally = Tally(records, KEYRING, clock)
    for number in range(4):
        tally.of(CELL).requests += 1
        await tally.flush()
        assert len((await records.read(TABLE))[1]) == 1, number
        clock.advance(PAGE_S / 4)
    await tally.flush()
    tally.of(CELL).requests += 1
    await tally.flush()
    assert len((await records.read(TABLE))[1]) == 2
    assert (await totals(records))[CELL].requests == 5


async def test_what_comes_while_it_is_written_is_written_next(records, monkeypatch):
    tally, put = Tally(records, KEYRING), records.put

    async def slow(table, written):
        tally.of(CELL).requests += 10
        await put(table, written)

    tally.of(CELL).requests += 1
    monkeypatch.setattr(records, "put", slow)
    await tally.flush()
    assert (await totals(records))[CELL].requests == 1
    monkeypatch.setattr(records, "put", put)
    await asyncio.gather(tally.flush(), tally.flush())
    assert (await totals(records))[CELL].requests == 11


async def test_the_metrics_tell_what_was_written_once(records):
    def requests():
        at = {"experiment": "e", "arm": "control", "counted": "measured"}
        return REGISTRY.get_sample_value("penstock_experiment_requests_total", at) or 0.0

    tally, before = Tally(records, KEYRING), requests()
    tally.of(CELL).requests += 2
    records.gone = True
    with pytest.raises(StoreUnavailable):
        await tally.flush()
    assert requests() == before
    records.gone = False
    tally.of(CELL).requests += 1
    await tally.flush()
    await tally.flush()
    assert requests() == before + 3
