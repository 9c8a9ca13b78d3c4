"""The tip: a chain is only continued where it ends as its last head says."""

import pytest
from audit_house import KEYS, NOON, record, write

from penstock.audit.chain import Chain
from penstock.audit.folder import HEADS, trail_files
from penstock.audit.line import Seal
from penstock.audit.problems import AuditUnavailable
from penstock.audit.tip import find_tip


def tip(folder):
    return find_tip(folder, Seal(KEYS, "chain"), Seal(KEYS, "heads"))


def cut_lines(path, lines):
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-lines]))


def test_the_end_of_a_trail(folder):
    write(folder, 25)
    found = tip(folder)
    assert found.file == trail_files(folder)[-1]
    assert found.size == found.file.stat().st_size
    assert (found.heads, found.after_head, found.torn, found.headless) == (4, 0, b"", False)


def test_lines_after_the_last_head_are_counted(folder):
    write(folder, 25).append([(NOON, record(at)) for at in range(3)])
    assert tip(folder).after_head == 3


def test_a_trail_without_any_file(folder):
    folder.mkdir()
    with pytest.raises(AuditUnavailable, match="files are gone"):
        tip(folder)


@pytest.mark.parametrize("lines", [1, 2, 5])
def test_a_trail_that_ends_before_its_last_head(folder, lines):
    write(folder, 25, rotate_bytes=10**6)
    cut_lines(trail_files(folder)[-1], lines)
    with pytest.raises(AuditUnavailable, match="but its last head is of line"):
        tip(folder)


def test_heads_that_are_gone(folder):
    write(folder, 25)
    (folder / HEADS).unlink()
    with pytest.raises(AuditUnavailable, match="all heads are gone"):
        tip(folder)


def test_heads_that_are_missing(folder):
    write(folder, 25)
    cut_lines(folder / HEADS, 2)
    with pytest.raises(AuditUnavailable, match="heads are missing"):
        tip(folder)


def test_a_head_that_was_changed(folder):
    write(folder, 25)
    heads = folder / HEADS
    heads.write_bytes(heads.read_bytes()[:-10] + b"x" + heads.read_bytes()[-9:])
    with pytest.raises(AuditUnavailable, match="the last head is not as this key wrote it"):
        tip(folder)


def test_a_head_of_another_trail(folder, tmp_path):
    write(folder, 25)
    write(tmp_path / "other", 25)
    (folder / HEADS).write_bytes((tmp_path / "other" / HEADS).read_bytes())
    with pytest.raises(AuditUnavailable, match="of another trail"):
        tip(folder)


def test_a_last_line_that_was_changed(folder):
    write(folder, 25)
    path = trail_files(folder)[-1]
    path.write_bytes(path.read_bytes().replace(b'"number":4', b'"number":5'))
    with pytest.raises(AuditUnavailable, match="not as this key wrote it"):
        tip(folder)


def test_heads_are_gone_although_the_files_are_too(folder):
    write(folder, 5)
    for path in trail_files(folder):
        path.unlink()
    with pytest.raises(AuditUnavailable, match="there are heads"):
        Chain(folder, KEYS).start(NOON)
