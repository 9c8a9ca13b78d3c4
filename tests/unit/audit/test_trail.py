"""The trail: quick to add to, durable after a flush, and loud when it can't be written."""

import asyncio
import json
import threading

import pytest
from audit_house import KEYS, eventually, record

from penstock.audit import folder as disk
from penstock.audit.problems import AuditUnavailable
from penstock.audit.record import Erased, Tally
from penstock.audit.trail import PATIENCE_S, Pace, Trail
from penstock.audit.verify import verify
from penstock.errors import PenstockError, StartError

QUICK = Pace(write_s=0.01)
SLOW = Pace(write_s=60)  # writes when it is woken


@pytest.fixture
async def trail(folder, clock):
    trail = Trail.open(folder, KEYS, clock, pace=QUICK)
    yield trail
    await trail.close()


def records(folder):
    lines = [
        json.loads(line) for path in sorted(folder.glob("audit-*")) for line in path.read_text().splitlines()
    ]
    return [line for line in lines if line["record"]["kind"] not in ("opens", "checkpoint")]


async def test_what_was_added_is_there_after_a_flush(trail, folder, clock):
    trail.add([record(1), record(2)])
    clock.advance(1.5)
    trail.add([Tally("acme", "IP", 3, "0")])
    await trail.flush()
    told = records(folder)
    assert [line["record"].get("start", "tally") for line in told] == [1, 2, "tally"]
    assert [line["time"][17:] for line in told] == ["00.000Z", "00.000Z", "01.500Z"]


async def test_it_is_written_without_a_flush_too(trail, folder):
    trail.add([record()])
    assert await asyncio.to_thread(eventually, lambda: len(records(folder)) == 1)


async def test_add_writes_nothing_itself(folder, clock):
    trail = Trail.open(folder, KEYS, clock, pace=SLOW)
    with disk.locked(folder, alone=True):  # whoever wanted to write now would wait
        for at in range(1000):
            trail.add([record(at)])
        assert not records(folder)
    await trail.close()
    assert len(records(folder)) == 1000


async def test_a_close_writes_what_waits_and_a_head(folder, clock):
    trail = Trail.open(folder, KEYS, clock, pace=SLOW)
    trail.add([record(at) for at in range(50)])
    await trail.close()
    verdict = verify(folder, KEYS)
    assert (verdict.broken, verdict.after_head, verdict.heads, len(records(folder))) == (None, 0, 2, 50)
    await trail.close()


async def test_after_the_close_nothing_is_taken(folder, clock):
    trail = Trail.open(folder, KEYS, clock)
    await trail.close()
    for ask in (trail.check, lambda: trail.add([record()])):
        with pytest.raises(AuditUnavailable, match="closed"):
            ask()
    with pytest.raises(AuditUnavailable, match="closed"):
        await trail.flush()


async def test_a_head_is_written_after_so_many_records(folder, clock):
    trail = Trail.open(folder, KEYS, clock, pace=Pace(write_s=60, head_records=10))
    trail.add([record(at) for at in range(9)])
    await trail.flush()
    assert verify(folder, KEYS).heads == 1
    trail.add([record(9)])
    await trail.flush()
    assert verify(folder, KEYS).heads == 2
    await trail.close()


async def test_a_head_is_written_after_so_many_seconds(folder, clock):
    trail = Trail.open(folder, KEYS, clock, pace=Pace(write_s=60, head_s=10))
    trail.add([record()])
    clock.advance(9)
    await trail.flush()
    assert verify(folder, KEYS).heads == 1
    clock.advance(2)
    await trail.flush()
    assert verify(folder, KEYS).heads == 2
    clock.advance(60)
    await trail.flush()
    assert verify(folder, KEYS).heads == 2, "nothing was added, so there is nothing to vouch for"
    await trail.close()


async def test_heads_go_elsewhere_too(folder, clock, tmp_path):
    trail = Trail.open(folder, KEYS, clock, heads_to=tmp_path / "heads")
    trail.add([record()])
    await trail.close()
    assert verify(folder, KEYS, tmp_path / "heads").broken is None
    assert len((tmp_path / "heads").read_bytes().splitlines()) == 2


async def test_a_big_batch_is_written_in_many_files(folder, clock):
    trail = Trail.open(folder, KEYS, clock, pace=Pace(rotate_bytes=100_000))
    trail.add([record(at) for at in range(5000)])
    await trail.close()
    verdict = verify(folder, KEYS)
    assert verdict.broken is None
    assert verdict.files >= 5
    assert [line["record"]["start"] for line in records(folder)] == list(range(5000))


async def test_a_folder_that_vanishes_is_said_and_nothing_is_lost_when_it_is_back(trail, folder, tmp_path):
    folder.rename(tmp_path / "away")
    trail.add([record(1)])
    with pytest.raises(AuditUnavailable, match="No such file"):
        await trail.flush()
    with pytest.raises(AuditUnavailable, match="No such file"):
        trail.check()
    with pytest.raises(AuditUnavailable):
        trail.add([record(2)])
    (tmp_path / "away").rename(folder)
    await trail.flush()
    trail.check()
    trail.add([record(3)])
    await trail.flush()
    assert [line["record"]["start"] for line in records(folder)] == [1, 3]
    assert verify(folder, KEYS).broken is None


async def test_it_recovers_by_itself(trail, folder, tmp_path):
    folder.rename(tmp_path / "away")
    trail.add([record(1)])
    with pytest.raises(AuditUnavailable):
        await trail.flush()
    (tmp_path / "away").rename(folder)

    def writable():
        try:
            trail.check()
        except AuditUnavailable:
            return False
        return True

    assert await asyncio.to_thread(eventually, writable)
    assert len(records(folder)) == 1


async def test_a_close_that_can_not_write_says_how_much_is_lost(folder, clock, tmp_path):
    trail = Trail.open(folder, KEYS, clock, pace=SLOW)
    folder.rename(tmp_path / "away")
    trail.add([record(1), record(2)])
    with pytest.raises(AuditUnavailable, match=r"2 records were not written: .*No such file"):
        await trail.close()


async def test_a_queue_over_its_bound_is_refused(folder, clock):
    trail = Trail.open(folder, KEYS, clock, pace=Pace(write_s=60, most_waiting=100))
    trail.add([record(at) for at in range(101)])  # one request may have as many as it has
    with pytest.raises(AuditUnavailable, match="too many records wait"):
        trail.check()
    with pytest.raises(AuditUnavailable, match="too many records wait"):
        trail.add([record()])
    await trail.flush()
    trail.check()
    await trail.close()
    assert len(records(folder)) == 101


async def test_a_write_that_hangs_is_refused(trail, folder, clock):
    with disk.locked(folder, alone=True):
        trail.add([record()])
        assert await asyncio.to_thread(eventually, lambda: trail._busy_since is not None)
        clock.advance(PATIENCE_S + 1)
        with pytest.raises(AuditUnavailable, match="holds up a write"):
            trail.check()
    await trail.flush()
    trail.check()


async def test_a_writer_that_breaks_is_refused_and_goes_on(trail, folder, caplog):
    trail._given.append((float("nan"), [record()]))  # a bug that nobody thought of
    with pytest.raises(AuditUnavailable, match="its writer broke: ValueError"):
        await trail.flush()
    assert "can't be written: its writer broke" in caplog.text
    await trail.flush()
    trail.add([record(1)])
    await trail.flush()
    assert [line["record"]["start"] for line in records(folder)] == [1]


@pytest.mark.parametrize("thing", ["Jane Doe", {"type": "EMAIL"}, None, Erased("acme")])
async def test_nothing_but_records_and_tallies_is_taken(trail, folder, thing):
    with pytest.raises(TypeError, match="takes a Record or a Tally"):
        trail.add([record(), thing])
    await trail.flush()
    assert not records(folder)


async def test_flushes_of_many_at_once(trail, folder):
    async def one(at):
        trail.add([record(at)])
        await trail.flush()
        return any(line["record"]["start"] == at for line in records(folder))

    assert all(await asyncio.gather(*(one(at) for at in range(50))))


async def test_a_flush_that_is_given_up_breaks_nothing(trail, folder):
    waiting = asyncio.create_task(trail.flush())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    trail.add([record()])
    await trail.flush()
    assert len(records(folder)) == 1


async def test_two_trails_on_one_folder(folder, clock):
    trails = [Trail.open(folder, KEYS, clock, pace=QUICK) for _ in range(2)]
    for at in range(100):
        trails[at % 2].add([record(at)])
        if at % 10 == 0:
            await trails[at % 3 == 0].flush()
    await asyncio.gather(*(trail.close() for trail in trails))
    assert sorted(line["record"]["start"] for line in records(folder)) == list(range(100))
    assert verify(folder, KEYS).broken is None


async def test_a_trail_that_was_tampered_with_is_not_continued(folder, clock):
    await Trail.open(folder, KEYS, clock).close()
    (folder / "heads.jsonl").write_text("nonsense\n")
    with pytest.raises(StartError, match=r"the audit trail can't be written: .*heads.jsonl"):
        Trail.open(folder, KEYS, clock)


async def test_a_full_disk_elsewhere_is_a_start_error(folder, clock):
    with pytest.raises(StartError, match="/dev/full: No space left"):
        Trail.open(folder, KEYS, clock, heads_to=disk.Path("/dev/full"))


async def test_an_erasure_is_written_and_the_chain_stays_valid(trail, folder):
    mac = (await trail.tenant_mac("acme"))(b"value")
    assert (await trail.tenant_mac("acme"))(b"value") == mac
    trail.add([record(value_mac=mac.hex())])
    assert await trail.erase("acme")
    assert (await trail.tenant_mac("acme"))(b"value") != mac
    assert records(folder)[-1]["record"] == {"kind": "erased", "tenant": "acme"}
    assert verify(folder, KEYS).broken is None


@pytest.mark.parametrize("tenant", ["nobody", "", "no tenant's name", "é"])
async def test_an_erasure_of_nothing_is_not_written(trail, folder, tenant):
    assert not await trail.erase(tenant)
    await trail.flush()
    assert not records(folder)


async def test_an_erasure_by_another_process_is_noticed(folder, clock):
    one = Trail.open(folder, KEYS, clock, pace=QUICK)
    other = Trail.open(folder, KEYS, clock, pace=QUICK)
    before = (await one.tenant_mac("acme"))(b"value")
    await other.erase("acme")
    clock.advance(2)
    await one.flush()
    await one.flush()
    assert (await one.tenant_mac("acme"))(b"value") != before
    await asyncio.gather(one.close(), other.close())


async def test_the_writer_has_a_thread_of_its_own_that_ends(folder, clock):
    trail = Trail.open(folder, KEYS, clock)
    assert "penstock-audit" in {thread.name for thread in threading.enumerate()}
    await trail.close()
    assert not trail._thread.is_alive()


def test_the_error_is_one_of_ours():
    assert issubclass(AuditUnavailable, PenstockError)
