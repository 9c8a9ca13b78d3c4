"""The chain: continued by whoever holds the lock, from where it really ends."""

import json
import stat

import pytest
from audit_house import KEYS, NOON, OTHER_KEYS, contents, record, tear, write

from penstock.audit.chain import Chain
from penstock.audit.problems import AuditUnavailable
from penstock.audit.verify import verify


def lines(folder):
    return [
        json.loads(line) for path in sorted(folder.glob("audit-*")) for line in path.read_bytes().splitlines()
    ]


def kinds(folder):
    return [line["record"]["kind"] for line in lines(folder)]


def opened(folder, **options):
    chain = Chain(folder, KEYS, **options)
    chain.start(NOON)
    return chain


def test_a_new_trail_begins_with_its_name_and_a_head(folder):
    opened(folder)
    assert kinds(folder) == ["opens", "checkpoint"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert verify(folder, KEYS).heads == 1


def test_lines_are_numbered_and_linked(folder):
    chain = opened(folder)
    assert chain.append([(NOON, record(at)) for at in range(100)]) == 100
    assert chain.append([(NOON, record(100))]) == 101
    told = lines(folder)
    assert [line["seq"] for line in told] == list(range(1, 104))
    assert [line["prev"] for line in told[1:]] == [line["mac"] for line in told[:-1]]
    assert [line["record"]["start"] for line in told[2:]] == list(range(101))


def test_an_append_of_nothing_writes_nothing(folder):
    chain = opened(folder)
    before = contents(folder)
    assert chain.append([]) == 0
    chain.checkpoint(NOON)
    assert contents(folder) == before


def test_a_head_vouches_for_the_line_of_its_checkpoint(folder):
    chain = opened(folder)
    chain.append([(NOON, record())])
    chain.checkpoint(NOON)
    last = lines(folder)[-1]
    head = json.loads((folder / "heads.jsonl").read_bytes().splitlines()[-1])["record"]
    assert last["record"] == {"kind": "checkpoint", "number": 2}
    assert (head["number"], head["seq"], head["line_mac"]) == (2, last["seq"], last["mac"])


def test_files_are_named_by_their_first_line_and_rotated(folder):
    write(folder, 60, rotate_bytes=4000)
    files = sorted(folder.glob("audit-*"))
    assert len(files) > 4
    for path in files:
        first = json.loads(path.read_bytes().splitlines()[0])
        assert path.name == f"audit-{first['seq']:012d}.jsonl"
        assert first["record"]["kind"] == "opens"
    assert verify(folder, KEYS).broken is None


def test_two_writers_take_turns(folder):
    one, other = opened(folder), opened(folder)
    for at in range(10):
        one.append([(NOON, record(at))])
        other.append([(NOON, record(100 + at))])
        if at % 3 == 0:
            other.checkpoint(NOON)
    one.checkpoint(NOON)
    verdict = verify(folder, KEYS)
    assert (verdict.broken, verdict.after_head) == (None, 0)
    starts = [line["record"]["start"] for line in lines(folder) if line["record"]["kind"] == "redaction"]
    assert starts == [start for at in range(10) for start in (at, 100 + at)]


def test_a_restart_goes_on_and_vouches_for_what_it_found(folder):
    opened(folder).append([(NOON, record())])
    assert verify(folder, KEYS).after_head == 1
    opened(folder)
    verdict = verify(folder, KEYS)
    assert (verdict.broken, verdict.after_head, verdict.heads) == (None, 0, 2)


def test_a_torn_line_stays_and_the_next_file_owns_up_to_it(folder):
    opened(folder).append([(NOON, record())])
    torn = tear(folder)
    before = torn.read_bytes()
    assert verify(folder, KEYS).broken is not None
    opened(folder)
    assert torn.read_bytes() == before
    verdict = verify(folder, KEYS)
    assert verdict.broken is None
    assert verdict.torn == ("11 bytes before line 4",)
    assert lines_of_last(folder)[0]["record"]["torn_bytes"] == 11


def lines_of_last(folder):
    return [json.loads(line) for line in max(folder.glob("audit-*")).read_bytes().splitlines()]


def test_another_writers_torn_line_is_owned_up_to_while_we_run(folder):
    chain = opened(folder)
    tear(folder)
    chain.append([(NOON, record())])
    assert verify(folder, KEYS).torn == ("11 bytes before line 3",)


@pytest.mark.parametrize("torn_head", [b"", b'{"mac":"12'])
def test_a_checkpoint_without_its_head_gets_it(folder, torn_head):
    write(folder, 25)
    heads = folder / "heads.jsonl"
    whole = heads.read_bytes()
    heads.write_bytes(b"".join(whole.splitlines(keepends=True)[:-1]) + torn_head)
    assert verify(folder, KEYS).broken.file == "heads.jsonl"
    opened(folder)
    assert heads.read_bytes() == whole


def test_heads_are_also_written_elsewhere(folder, tmp_path):
    elsewhere = tmp_path / "far" / "heads.jsonl"
    elsewhere.parent.mkdir()
    write(folder, 25, heads_to=elsewhere)
    assert elsewhere.read_bytes() == (folder / "heads.jsonl").read_bytes()


def test_heads_that_can_not_be_written_elsewhere_are_an_error_and_owed(folder, tmp_path):
    elsewhere = tmp_path / "far" / "heads.jsonl"
    chain = Chain(folder, KEYS, heads_to=elsewhere)
    with pytest.raises(AuditUnavailable, match=r"far/heads.jsonl: No such file"):
        chain.start(NOON)
    with pytest.raises(AuditUnavailable):
        chain.append([(NOON, record())])
    assert "redaction" not in kinds(folder)
    elsewhere.parent.mkdir()
    chain.append([(NOON, record())])
    chain.checkpoint(NOON)
    assert elsewhere.read_bytes() == (folder / "heads.jsonl").read_bytes()
    assert kinds(folder).count("redaction") == 1


def test_a_folder_that_vanishes_is_an_error_until_it_is_back(folder, tmp_path):
    chain = opened(folder)
    folder.rename(tmp_path / "away")
    with pytest.raises(AuditUnavailable, match="No such file"):
        chain.append([(NOON, record())])
    (tmp_path / "away").rename(folder)
    chain.append([(NOON, record())])
    assert verify(folder, KEYS).broken is None


def test_a_folder_that_was_emptied_is_not_begun_anew(folder):
    chain = opened(folder)
    for path in folder.glob("*.jsonl"):
        path.unlink()
    with pytest.raises(AuditUnavailable, match="are gone"):
        chain.append([(NOON, record())])


def test_lines_that_we_wrote_and_that_are_gone_are_missed(folder):
    chain = opened(folder)
    chain.append([(NOON, record(at)) for at in range(5)])
    file = max(folder.glob("audit-*"))
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-1]))
    with pytest.raises(AuditUnavailable, match="lines behind 6 were written and are gone"):
        chain.append([(NOON, record())])


def test_another_key_can_not_go_on(folder):
    opened(folder)
    with pytest.raises(AuditUnavailable, match="not as this key wrote it"):
        Chain(folder, OTHER_KEYS).start(NOON)


def test_drafts_of_a_killed_process_are_removed(folder):
    opened(folder)
    (folder / ".draft-00").touch()
    opened(folder)
    assert not (folder / ".draft-00").exists()
