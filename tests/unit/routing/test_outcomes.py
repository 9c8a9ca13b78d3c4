"""Outcomes on their way: sealed for their place, there until they are dropped, and kept meanwhile."""

import msgspec
import pytest
from routing_house import settle

from penstock.errors import StoreUnavailable
from penstock.routing import outcomes as module
from penstock.routing.features import FEATURES, prompt_features
from penstock.routing.feedback import Served
from penstock.routing.outcomes import TABLE, Learned, Outcome, Outcomes
from penstock.stores.keyring import Keyring
from penstock.stores.memory import MemoryRecords

MARKER = "MARKER-xyzzy"


def outcome(number: int = 0, **fields):
    learned = Learned.of(prompt_features(f"{MARKER} {number}"), Served.SMALL, 0.5, "code").packed()
    return Outcome("acme", "auto", learned, **{"small": 0.25, "large": 1.0, **fields})


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(module, "_EVERY_S", 0.0)


@pytest.fixture
def records():
    return MemoryRecords()


@pytest.fixture
async def sender(records):
    sender = Outcomes(records, Keyring(bytes(32)))
    yield sender
    records.gone = False
    await sender.stop()


def taker(records, master=bytes(32)):
    return Outcomes(records, Keyring(master))


async def waiting(records):
    return list((await taker(records).waiting()).values())


async def test_what_was_put_is_there_until_it_is_dropped(sender, records):
    put = [outcome(number) for number in range(3)]
    for each in put:
        sender.put(each)
    await settle()
    for _ in range(2):
        found = await taker(records).waiting()
        assert sorted(found.values(), key=put.index) == put
    first, *rest = found
    await taker(records).drop([first])
    assert await taker(records).waiting() == {key: found[key] for key in rest}
    await taker(records).drop([first, *rest])  # one of them is gone already
    assert await waiting(records) == []


def test_an_outcome_says_what_the_learner_wants():
    seen = outcome().observed()
    assert (seen.served, seen.chance, seen.small, seen.large) == (Served.SMALL, 0.5, 0.25, 1.0)
    assert seen.topic == "code"
    assert seen.features == prompt_features(f"{MARKER} 0")


@pytest.mark.parametrize("learned", [b"", b"\xc1", b"junk", msgspec.msgpack.encode([1, 2])])
def test_what_cannot_be_read_is_refused(learned):
    with pytest.raises(msgspec.MsgspecError):
        Outcome("acme", "auto", learned).observed()


@pytest.mark.parametrize("made_with", [1, FEATURES - 1, FEATURES + 1])
def test_features_of_another_release_say_nothing(made_with):
    told = Learned.of(prompt_features(MARKER), Served.SMALL, 0.5, "code")
    assert told.made_with == FEATURES
    old = msgspec.structs.replace(told, made_with=made_with).packed()
    assert Outcome("acme", "auto", told.packed()).readable
    assert not Outcome("acme", "auto", old).readable
    with pytest.raises(ValueError, match="another release"):
        Outcome("acme", "auto", old).observed()


def test_what_was_written_before_versions_were_is_of_the_first():
    *fields, _ = msgspec.msgpack.decode(outcome().learned)
    told = msgspec.msgpack.decode(msgspec.msgpack.encode(fields), type=Learned)
    assert told.made_with == 1
    now = msgspec.msgpack.decode(outcome().learned, type=Learned)
    assert msgspec.structs.replace(told, made_with=FEATURES) == now


@pytest.mark.parametrize("learned", [b"", b"\xc1", b"junk"])
def test_what_cannot_be_read_is_not_readable(learned):
    assert not Outcome("acme", "auto", learned).readable


async def test_records_hold_no_word_and_no_hash_in_the_clear(sender, records):
    sender.put(outcome())
    await settle()
    _, table = await records.read(TABLE)
    (sealed,) = table.values()
    assert MARKER.encode() not in sealed
    assert b"acme" not in sealed
    assert outcome().learned[:16] not in sealed


async def test_foreign_moved_and_broken_records_do_not_count_and_are_gone(sender, records):
    sender.put(outcome())
    await settle()
    _, table = await records.read(TABLE)
    ((key, sealed),) = table.items()
    await records.put(TABLE, {"elsewhere": sealed, "broken": sealed[:-1], "junk": b"", "short": b"x" * 12})
    foreign = Keyring(b"f" * 32).seal(TABLE, msgspec.msgpack.encode(outcome()), b"foreign")
    other = Keyring(bytes(32)).seal(TABLE, msgspec.msgpack.encode({"no": "outcome"}), b"other")
    await records.put(TABLE, {"foreign": foreign, "other": other})
    assert await taker(records).waiting() == {key: outcome()}
    assert list((await records.read(TABLE))[1]) == [key]


async def test_a_store_that_goes_on_the_way_keeps_what_was_not_dropped(sender, records):
    for number in range(250):
        sender.put(outcome(number))
    await settle()
    found = await taker(records).waiting()
    deleted, done = records.delete, []

    async def until_gone(table, key):
        done.append(await deleted(table, key))
        records.gone = len(done) >= 120
        return done[-1]

    records.delete = until_gone
    with pytest.raises(StoreUnavailable):
        await taker(records).drop(found)
    records.delete, records.gone = deleted, False
    rest = await taker(records).waiting()
    assert len(rest) == 250 - len(done) == 130
    await taker(records).drop(found)
    assert await waiting(records) == []


async def test_an_outcome_that_is_sent_twice_keeps_its_key(sender, records):
    put, sent = records.put, []

    async def late(table, those):
        await put(table, those)
        sent.append(set(those))
        if len(sent) == 1:
            raise StoreUnavailable("it took too long, but it is there")

    records.put = late
    sender.put(outcome())
    await settle()
    assert len(sent) == 2
    assert sent[0] == sent[1] == set(await taker(records).waiting())


async def test_while_the_store_is_gone_they_wait(sender, records):
    records.gone = True
    sender.put(outcome(1))
    await settle()
    sender.put(outcome(2))
    with pytest.raises(StoreUnavailable):
        await taker(records).waiting()
    records.gone = False
    await settle()
    assert len(await waiting(records)) == 2


async def test_only_so_many_wait(sender, records):
    records.gone = True
    for number in range(5_010):
        sender.put(outcome(number))
    assert len(sender._waiting) == 5_000


async def test_the_end_sends_what_waits(records, monkeypatch):
    monkeypatch.setattr(module, "_EVERY_S", 60.0)
    sender = Outcomes(records, Keyring(bytes(32)))
    sender.put(outcome())
    await sender.stop()
    assert await waiting(records) == [outcome()]
