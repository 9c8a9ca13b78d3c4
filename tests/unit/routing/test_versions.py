"""Versions of a scorer: sealed for their place, the last ten, seen by every process, and put back."""

import msgspec
import pytest
from routing_house import settle

from penstock.errors import StoreUnavailable
from penstock.routing.features import FEATURES, Features, prompt_features
from penstock.routing.guarantee import Kept
from penstock.routing.learner import COLD_START
from penstock.routing.versions import TABLE, History, Version, Versions
from penstock.routing.weights import NOTHING, Weights
from penstock.stores import watched
from penstock.stores.keyring import Keyring
from penstock.stores.memory import MemoryRecords

SEEN = Features({7}, frozenset(), frozenset())
PROMISE = Kept(0.5, 0.8, 200, 2, 0.03)


def version(number, gain=None, promise=None, made_with=FEATURES):
    gain = gain or Weights((1.0, 1.0, 1.0), number / 10, {7: 0.25})
    packed = gain.packed(), NOTHING.packed()
    return Version(number, 1_800_000_000.0, 100, "wins", *packed, promise, gain.digest(), made_with=made_with)


def history(*numbers, tenant="acme", alias="auto"):
    its = History(tenant, alias)
    for number in numbers:
        its.add(version(number, promise=PROMISE))
    return its


@pytest.fixture
def records():
    return MemoryRecords()


def process(records, master=bytes(32)):
    return Versions(records, Keyring(master))


def gain(versions, tenant="acme", alias="auto"):
    return versions.weights(tenant, alias).gain(SEEN)


async def test_before_anything_is_learned_nothing_is_known(records):
    versions = process(records)
    await versions.look()
    assert versions.weights("acme", "auto") is COLD_START
    assert versions.trust("acme", "auto").promise is None
    assert versions.history("acme", "auto") == History("acme", "auto")
    assert versions.histories() == []


async def test_what_one_writes_another_reads_and_no_other_tenant_or_alias_has_it(records):
    one, other = process(records), process(records)
    await one.write(history(1))
    assert gain(one) == pytest.approx(0.35)
    await other.look()
    assert gain(other) == gain(one)
    assert other.trust("acme", "auto").promise == PROMISE
    assert other.history("acme", "auto") == history(1)
    assert other.weights("globex", "auto") is other.weights("acme", "gpt-4o") is COLD_START


async def test_after_a_restart_the_live_weights_are_read_again(records):
    await process(records).write(history(1, 2))
    again = process(records)
    await again.start()
    assert gain(again) == pytest.approx(0.45)
    await again.stop()


async def test_ten_are_kept_and_the_last_one_is_live(records):
    its = history(*range(1, 14))
    assert [each.number for each in its.versions] == list(range(4, 14))
    assert (its.live, its.version().number) == (13, 13)
    assert its.version(4).made == "2027-01-15T08:00:00+00:00"
    assert its.version(3) is None


async def test_an_older_one_or_none_can_be_put_back(records):
    versions = process(records)
    its = history(1, 2, 3)
    its.live = 1
    await versions.write(its)
    assert gain(versions) == pytest.approx(0.35)
    its.live = 0
    await versions.write(its)
    assert versions.weights("acme", "auto") is COLD_START
    assert versions.trust("acme", "auto").promise is None
    assert len(versions.history("acme", "auto").versions) == 3


async def test_a_running_process_sees_it_within_a_poll(records, monkeypatch):
    monkeypatch.setattr(watched, "LOOK_S", 0.0)
    one, other = process(records), process(records)
    await other.start()
    await one.write(history(1))
    await settle()
    assert gain(other) == pytest.approx(0.35)
    records.gone = True
    await settle()
    records.gone = False
    await one.write(history(1, 2))
    await settle()
    assert gain(other) == pytest.approx(0.45)
    await other.stop()


async def test_a_store_that_is_gone_at_the_start_is_no_error(records):
    records.gone = True
    versions = process(records)
    await versions.start()
    assert versions.weights("acme", "auto") is COLD_START
    await versions.stop()
    with pytest.raises(StoreUnavailable):
        await versions.write(history(1))


async def test_foreign_moved_and_broken_records_do_not_count(records, caplog):
    await process(records, b"f" * 32).write(history(1))
    await process(records).write(history(2, tenant="globex"))
    _, table = await records.read(TABLE)
    sealed = table["globex/auto"]
    await records.put(TABLE, {"moved/auto": sealed, "broken/auto": sealed[:-2], "junk/auto": b"junk"})
    versions = process(records)
    await versions.look()
    assert [each.tenant for each in versions.histories()] == ["globex"]
    told = [line for line in caplog.messages if "was not written by this keyring" in line]
    assert {line.split()[3] for line in told} >= {"acme", "moved", "broken", "junk"}


async def test_records_hold_nothing_in_the_clear(records):
    await process(records).write(history(1))
    _, table = await records.read(TABLE)
    (sealed,) = table.values()
    for clear in (b"wins", b"acme", version(1).gain[:8], version(1).digest.encode()):
        assert clear not in sealed


async def test_versions_that_an_older_process_wrote_are_read(records):
    class Old(msgspec.Struct):
        number: int
        made_at: float
        outcomes: int
        why: str
        gain: bytes
        trust: bytes

    class OldHistory(msgspec.Struct):
        tenant: str
        alias: str
        live: int
        versions: list[Old]

    new = version(1)
    old = Old(1, new.made_at, new.outcomes, new.why, new.gain, new.trust)
    plain = msgspec.msgpack.encode(OldHistory("acme", "auto", 1, [old]))
    await records.put(TABLE, {"acme/auto": Keyring(bytes(32)).seal(TABLE, plain, b"acme/auto")})
    versions = process(records)
    await versions.look()
    its = versions.history("acme", "auto").version()
    assert (its.upto, its.made_with, its.outdated) == (0, 1, True)
    assert versions.weights("acme", "auto") is COLD_START


def test_the_prior_prefers_longer_prompts_until_something_is_learned(records):
    short, long = (prompt_features("Why is that so? " * count) for count in (1, 40))
    weights = process(records).weights("acme", "auto")
    assert weights.gain(long) > weights.gain(short) > 0


def outdated(*numbers):
    """Give versions of which only the last was made with other features."""
    its = history(*numbers[:-1])
    its.add(version(numbers[-1], promise=PROMISE, made_with=FEATURES + 1))
    return its


async def test_weights_of_other_features_score_nothing(records, caplog):
    versions = process(records)
    await versions.write(outdated(1, 2))
    assert versions.weights("acme", "auto") is COLD_START
    assert versions.trust("acme", "auto").promise is None
    its = versions.history("acme", "auto")
    assert (its.live, its.scoring(), its.version(2).outdated) == (2, None, True)
    its.live = 1
    await versions.write(its)
    assert gain(versions) == pytest.approx(0.35)
    assert versions.trust("acme", "auto").promise == PROMISE


async def test_that_is_said_once(records, caplog):
    versions = process(records)
    await versions.write(outdated(1, 2))
    await versions.write(history(1, tenant="globex"))  # the table is read again
    told = [line for line in caplog.messages if "other features" in line]
    assert len(told) == 1
    assert told[0].startswith("scorer 2 of acme/auto was made with other features")


async def test_weights_that_did_not_change_are_not_unpacked_again(records):
    versions = process(records)
    await versions.write(history(1))
    before, trusted = versions.weights("acme", "auto"), versions.trust("acme", "auto")
    await versions.write(history(1, tenant="globex"))
    assert versions.weights("acme", "auto") is before
    assert versions.trust("acme", "auto") is trusted
    await versions.write(history(1, 2))
    assert versions.weights("acme", "auto") is not before


async def test_a_version_that_only_changed_its_promise_leaves_the_prior_the_prior(records):
    versions = process(records)
    its = History("acme", "auto")
    its.add(version(1, gain=COLD_START, promise=PROMISE))
    await versions.write(its)
    assert versions.weights("acme", "auto") is COLD_START  # whose gains have no size
    assert versions.trust("acme", "auto").promise == PROMISE


async def test_what_a_caller_changes_counts_when_it_is_written(records):
    versions = process(records)
    await versions.write(history(1))
    its = versions.history("acme", "auto")
    its.add(version(2))
    assert versions.history("acme", "auto") == history(1)
    (same,) = versions.histories()
    same.live = 0
    assert versions.history("acme", "auto").live == 1
    records.gone = True
    with pytest.raises(StoreUnavailable):
        await versions.write(its)
    assert versions.history("acme", "auto") == history(1)
    records.gone = False
    await versions.write(its)
    assert gain(versions) == pytest.approx(0.45)
