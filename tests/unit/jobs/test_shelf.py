"""Shelves: in order, each outcome once, sealed for its place, bounded, gone when a tenant is forgotten."""

import pytest
from jobs_house import PLACE, learned, outcomes

from penstock.errors import StoreUnavailable
from penstock.jobs import shelf as module
from penstock.jobs.shelf import INDEX, Known, Shelf, forget
from penstock.routing.features import FEATURES
from penstock.routing.outcomes import TABLE, Outcome, Outcomes
from penstock.stores.keyring import Keyring
from penstock.stores.memory import MemoryRecords
from penstock.stores.sqlite_records import SqliteRecords

KEYRING = Keyring(bytes(32))


@pytest.fixture(params=["memory", "sqlite"])
async def records(request, tmp_path):
    made = (
        MemoryRecords()
        if request.param == "memory"
        else await SqliteRecords.open(tmp_path / "records.db", timeout_s=20)
    )
    yield made
    await made.close()


@pytest.fixture
def small_chunks(monkeypatch):
    """Let a shelf have four chunks of three."""
    monkeypatch.setattr(module, "_ROWS", 3)
    monkeypatch.setattr(module, "_CHUNKS", 4)


async def opened(records, place=PLACE, keyring=KEYRING, **fields):
    return await Shelf.open(records, keyring, place, **fields)


def named(count, first=0, place=PLACE):
    return {f"key{first + at}": each for at, each in enumerate(outcomes(count, first=first, place=place))}


async def lessons(shelf):
    return [lesson async for chunk in shelf.read() for lesson in chunk]


async def keys(shelf):
    return [lesson.key for lesson in await lessons(shelf)]


async def tables(records):
    """Give every table of a shelf that holds something."""
    if isinstance(records, MemoryRecords):
        return {name: table for name, table in records._tables.items() if table}
    names = [INDEX, TABLE, *(f"{module._name(KEYRING, 'acme/auto')}-{at}" for at in range(module._CHUNKS))]
    found = {name: (await records.read(name))[1] for name in names}
    return {name: table for name, table in found.items() if table}


async def test_what_was_put_is_there_after_a_restart_in_its_order(records):
    shelf = await opened(records)
    assert (len(shelf), shelf.latest, await keys(shelf)) == (0, 0, [])
    put = named(7)
    assert await shelf.add(put) == 7
    again = await opened(records)
    assert (len(again), again.latest) == (7, 7)
    found = await lessons(again)
    assert [(each.number, each.key, each.outcome) for each in found] == [
        (number, *item) for number, item in enumerate(put.items(), 1)
    ]


async def test_an_outcome_is_added_once_however_often_it_comes(records, small_chunks):
    shelf = await opened(records)
    assert await shelf.add(named(5)) == 5
    assert await shelf.add(named(6)) == 1
    again = await opened(records)
    assert await again.add(named(6)) == 0
    assert await keys(again) == [f"key{at}" for at in range(6)]


async def test_the_oldest_make_room(records, small_chunks):
    shelf = await opened(records)
    for first in range(0, 20, 2):
        await shelf.add(named(2, first))
    expected = [f"key{at}" for at in range(9, 20)]  # the newest chunk has two of three
    assert await keys(shelf) == expected
    again = await opened(records)
    assert (await keys(again), again.latest) == (expected, 20)
    assert len(await tables(records)) == 5
    await again.add(named(2, 20))  # goes on in the chunk that was begun
    assert (await keys(again))[-3:] == ["key19", "key20", "key21"]
    assert len(again) <= 12


async def test_long_outcomes_are_bounded_by_their_bytes(records, monkeypatch):
    monkeypatch.setattr(module, "_BYTES", 2_000)
    monkeypatch.setattr(module, "_CHUNKS", 4)
    shelf = await opened(records)
    await shelf.add(
        {f"key{at}": Outcome(*PLACE, learned("word " * 3), answer_features=bytes(900)) for at in range(30)}
    )
    assert 4 <= len(await keys(shelf)) <= 8
    assert all(sum(map(len, table.values())) < 2_200 for table in (await tables(records)).values())


async def test_numbers_go_on_after_those_that_taught_somebody(records):
    shelf = await opened(records, after=900)
    await shelf.add(named(2))
    assert [each.number for each in await lessons(shelf)] == [901, 902]
    assert (await opened(records, after=100)).latest == 902


async def test_places_are_apart(records):
    mine, others = await opened(records), await opened(records, ("globex", "auto"))
    await mine.add(named(3))
    await others.add(named(2, place=("globex", "auto")))
    assert (len(await keys(mine)), len(await keys(others))) == (3, 2)
    assert await keys(await opened(records, ("acme", "other"))) == []


async def test_two_that_both_believe_it_is_their_turn_lose_nothing_and_count_nothing_twice(
    records, small_chunks
):
    one, other = await opened(records), await opened(records)
    await one.add(named(4))
    await other.add(named(5))
    await one.add(named(3, 5))
    again = await opened(records)
    assert sorted(await keys(again)) == [f"key{at}" for at in range(8)]


async def test_after_a_failure_adding_again_is_safe(small_chunks):
    records = MemoryRecords()
    shelf = await opened(records)
    await shelf.add(named(2))
    put, calls = records.put, []

    async def fails_afterwards(table, those):
        await put(table, those)
        calls.append(table)
        if len(calls) == 3:
            raise StoreUnavailable("written, but nobody knows")

    records.put = fails_afterwards
    with pytest.raises(StoreUnavailable):
        await shelf.add(named(8))
    records.put = put
    await shelf.add(named(8))
    for each in (shelf, await opened(records)):
        assert sorted(await keys(each)) == [f"key{at}" for at in range(8)]


async def test_nothing_stands_there_in_the_clear(records):
    shelf = await opened(records)
    its = named(1)
    await shelf.add(its)
    found = await tables(records)
    assert list(found.pop(INDEX)) == ["acme/auto"]
    ((name, table),) = found.items()
    assert "acme" not in name
    (sealed,) = table.values()
    assert b"acme" not in sealed
    assert its["key0"].learned[:16] not in sealed


async def test_foreign_moved_and_broken_outcomes_do_not_count(records, caplog):
    shelf = await opened(records)
    await shelf.add(named(3))
    name = next(name for name in await tables(records) if name != INDEX)
    table = (await records.read(name))[1]
    await records.put(name, {"key1": table["key0"], "key2": table["key2"][:-1], "odd": b"odd"})
    assert await keys(await opened(records)) == ["key0"]
    assert {line.split(" was")[0] for line in caplog.messages} == {"an outcome of acme/auto"}
    stranger = await opened(records, keyring=Keyring(b"f" * 32))
    assert len(stranger) == 0
    assert any("outcomes of acme/auto were not written by this keyring" in line for line in caplog.messages)


async def test_a_tenant_is_forgotten_with_all_that_waits_and_no_other_is(records, small_chunks):
    for place in (PLACE, ("acme", "other"), ("acmes", "auto")):
        shelf = await opened(records, place)
        await shelf.add(named(5, place=place))
    waiting = Outcomes(records, KEYRING)
    for place in (PLACE, ("acmes", "auto")):
        waiting.put(next(outcomes(1, place=place)))
    await waiting.stop()
    await forget(records, KEYRING, "acme")
    assert list((await records.read(INDEX))[1]) == ["acmes/auto"]
    for alias in ("auto", "other"):
        assert await keys(await opened(records, ("acme", alias))) == []
    assert len(await keys(await opened(records, ("acmes", "auto")))) == 5
    assert [each.tenant for each in (await waiting.waiting()).values()] == ["acmes"]


async def test_a_trainer_that_is_at_work_begins_anew_after_that(records, small_chunks):
    shelf = await opened(records)
    await shelf.add(named(5))
    await forget(records, KEYRING, "acme")
    assert await keys(shelf) == []
    assert await shelf.add(named(2)) == 2
    for each in (shelf, await opened(records)):
        assert await keys(each) == ["key0", "key1"]
    await forget(records, KEYRING, "acme")
    assert await tables(records) == {}


async def test_a_store_that_is_gone_is_told():
    records = MemoryRecords()
    shelf = await opened(records)
    records.gone = True
    for doing in (shelf.add(named(1)), opened(records), lessons(shelf), forget(records, KEYRING, "acme")):
        with pytest.raises(StoreUnavailable):
            await doing


def made_before(count):
    """Give outcomes of a release that saw prompts otherwise."""
    one = learned("as it was", made_with=FEATURES - 1)
    return {f"old{at}": Outcome(*PLACE, one, 0.0, 1.0) for at in range(count)}


async def test_what_an_earlier_release_saw_stays_unseen_and_is_displaced(records, small_chunks, monkeypatch):
    shelf = await opened(records)
    await shelf.add(made_before(7))
    again = await opened(records)
    assert (len(again), await keys(again)) == (0, [])
    assert await again.add(named(4)) == 4
    assert await keys(again) == [f"key{at}" for at in range(4)]
    assert [each.number for each in await lessons(again)] == [1, 2, 3, 4]
    assert sum(map(len, (await tables(records)).values())) == 1 + 7 + 4
    with monkeypatch.context() as before:  # the release is taken back
        before.setattr("penstock.routing.outcomes.FEATURES", FEATURES - 1)
        assert len(await opened(records)) == 7
    await again.add(named(12, 4))
    assert "old0" not in {key for table in (await tables(records)).values() for key in table}


async def counted(records, keyring=KEYRING):
    known = Known(records, keyring)
    await known.look()
    return known


async def test_every_process_knows_about_how_many_there_are(records, small_chunks):
    mine, others = await opened(records), await opened(records, ("acme", "org/auto"))
    assert (await counted(records)).count(*PLACE) == 0
    await mine.add(named(2))
    assert (await counted(records)).count(*PLACE) == 0
    await mine.add(named(5, 2))
    await others.add(named(4, place=("acme", "org/auto")))
    known = await counted(records)
    assert (known.count(*PLACE), known.count("acme", "org/auto"), known.count("globex", "auto")) == (6, 3, 0)
    await mine.add(named(50, 7))
    assert (await known.look())[PLACE] == known.count(*PLACE)
    assert 9 <= known.count(*PLACE) <= 12  # no more are kept


async def test_what_an_earlier_release_saw_is_not_counted(records, small_chunks, monkeypatch):
    shelf = await opened(records)
    await shelf.add(named(7))
    monkeypatch.setattr(module, "FEATURES", FEATURES + 1)
    assert (await counted(records)).count(*PLACE) == 0


async def test_nobody_counts_what_this_keyring_did_not_write(records, small_chunks, caplog):
    await (await opened(records)).add(named(7))
    assert (await counted(records, Keyring(b"f" * 32))).count(*PLACE) == 0
    assert any("a shelf of outcomes of acme was not written by" in line for line in caplog.messages)


async def test_an_index_that_an_older_process_wrote_counts_nothing_and_is_gone_on_with(records):
    shelf = await opened(records)
    await shelf.add(named(3))
    old = KEYRING.seal(INDEX, bytes([0x91, 1]), b"acme/auto")  # [begun] alone
    await records.put(INDEX, {"acme/auto": old})
    assert (await counted(records)).count(*PLACE) == 0
    assert await keys(await opened(records)) == ["key0", "key1", "key2"]
