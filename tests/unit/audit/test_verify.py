"""Verify: a verdict with an exit code, and heads from elsewhere that see what the folder can't show."""

import shutil

import pytest
from audit_house import KEYS, NOON, OTHER_KEYS, record, tear, write

from penstock.audit.chain import Chain
from penstock.audit.folder import HEADS, trail_files
from penstock.audit.problems import WrongKey
from penstock.audit.verify import verify
from penstock.errors import StartError


def test_a_good_trail(folder):
    write(folder, 60)
    verdict = verify(folder, KEYS)
    assert verdict.exit_code == 0
    assert (verdict.broken, verdict.after_head, verdict.torn) == (None, 0, ())
    assert verdict.heads == 7
    assert verdict.files == len(trail_files(folder)) > 2
    assert verdict.lines == 60 + verdict.heads + verdict.files


def test_a_broken_trail(folder):
    write(folder, 60)
    (folder / HEADS).unlink()
    verdict = verify(folder, KEYS)
    assert (verdict.exit_code, verdict.broken.file) == (1, HEADS)


def test_lines_without_a_head_and_torn_lines_are_told(folder):
    write(folder, 5)
    tear(folder, b"{half")
    Chain(folder, KEYS).append([(NOON, record()), (NOON, record())])
    verdict = verify(folder, KEYS)
    assert (verdict.exit_code, verdict.after_head) == (0, 3)
    assert verdict.torn == ("5 bytes before line 9",)


def test_no_trail(folder):
    with pytest.raises(StartError, match="there is no audit trail"):
        verify(folder, KEYS)
    folder.mkdir()
    with pytest.raises(StartError, match="there is no audit trail"):
        verify(folder, KEYS)


def test_another_key_is_told_from_tampering(folder):
    write(folder, 20)
    with pytest.raises(WrongKey, match="nothing in it was written with this key"):
        verify(folder, OTHER_KEYS)
    first = trail_files(folder)[0]
    first.write_bytes(b"x" + first.read_bytes()[1:])
    assert verify(folder, KEYS).broken.line == 1
    first.write_bytes(b"")
    assert verify(folder, KEYS).broken.reason == "the file is empty"


@pytest.fixture
def elsewhere(folder, tmp_path):
    """Heads kept elsewhere of a trail in whose folder an older state, heads and all, was put back."""
    path = tmp_path / "elsewhere"
    write(folder, 30, heads_to=path)
    shutil.copytree(folder, tmp_path / "older")
    chain = Chain(folder, KEYS, heads_to=path)
    chain.append([(NOON, record())])
    chain.checkpoint(NOON)
    return path


def test_heads_from_elsewhere_agree(folder, elsewhere):
    assert verify(folder, KEYS, elsewhere).exit_code == 0


def test_an_older_state_is_seen_by_heads_from_elsewhere_only(folder, elsewhere, tmp_path):
    older = tmp_path / "older"
    assert verify(older, KEYS).exit_code == 0
    broken = verify(older, KEYS, elsewhere).broken
    assert (broken.file, broken.line) == (str(elsewhere), 5)
    assert "it was cut" in broken.reason


def test_a_new_trail_in_the_old_ones_place_is_seen(folder, elsewhere, tmp_path):
    write(tmp_path / "new", 50)
    assert verify(tmp_path / "new", KEYS, elsewhere).broken.reason == "is a head of another trail"


def test_a_trail_that_is_gone_is_seen(folder, elsewhere, tmp_path):
    (tmp_path / "new").mkdir()
    assert "missing" in verify(tmp_path / "new", KEYS, elsewhere).broken.reason


def test_export_of_heads_may_have_begun_late_or_missed_some(folder, elsewhere):
    lines = elsewhere.read_bytes().splitlines(keepends=True)
    elsewhere.write_bytes(lines[1] + lines[3])
    assert verify(folder, KEYS, elsewhere).exit_code == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda lines: [], "no heads in it"),
        (lambda lines: [lines[1], lines[0]], "out of order"),
        (lambda lines: [lines[0], lines[0]], "out of order"),
        (lambda lines: [lines[0][:-1]], "not as it was written"),
        (lambda lines: [lines[0].replace(b'"number":1', b'"number":2')], "not as it was written"),
        (lambda lines: [b"nonsense\n"], "not as it was written"),
    ],
)
def test_heads_from_elsewhere_that_were_changed(folder, elsewhere, change, reason):
    lines = elsewhere.read_bytes().splitlines(keepends=True)
    elsewhere.write_bytes(b"".join(change(lines)))
    assert reason in verify(folder, KEYS, elsewhere).broken.reason


def test_heads_from_nowhere(folder):
    write(folder, 5)
    with pytest.raises(StartError, match="nowhere: No such file"):
        verify(folder, KEYS, folder / "nowhere")
