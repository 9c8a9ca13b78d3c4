"""The folder: files that appear whole, appends that are whole or undone, one lock."""

import os
import stat
import threading

import pytest

from penstock.audit import folder as disk


def test_names_sort_as_lines_do(tmp_path):
    for seq in (1, 20, 3, 1_000_000):
        (tmp_path / disk.file_name(seq)).touch()
    for other in (
        "audit-1.jsonl",
        "heads.jsonl",
        "audit-000000000001.jsonl.bak",
        ".audit-000000000001.jsonl",
    ):
        (tmp_path / other).touch()
    assert [disk.first_seq(path) for path in disk.trail_files(tmp_path)] == [1, 3, 20, 1_000_000]


def test_append_adds_and_is_private(tmp_path):
    path = tmp_path / "f"
    assert disk.append(path, [b"ab", b"c"]) == 3
    assert disk.append(path, iter([b"d"])) == 4
    assert path.read_bytes() == b"abcd"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_append_that_fails_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "f"
    disk.append(path, [b"before"])

    def pieces():
        yield b"half"
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        disk.append(path, pieces())
    assert path.read_bytes() == b"before"


def test_a_full_disk_is_an_error():
    with pytest.raises(OSError, match="No space"):
        disk.append(disk.Path("/dev/full"), [b"x"])


def test_a_new_file_is_whole_and_never_written_over(tmp_path):
    path = tmp_path / "f"
    assert disk.create_whole(path, b"first")
    assert not disk.create_whole(path, b"second")
    assert path.read_bytes() == b"first"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["f"]


def test_drafts_are_removed(tmp_path):
    (tmp_path / ".draft-0123").touch()
    (tmp_path / "f").touch()
    disk.remove_drafts(tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == ["f"]


@pytest.mark.parametrize(
    ("content", "line", "torn"),
    [
        (b"", b"", b""),
        (b"a\n", b"a\n", b""),
        (b"a\nb\n", b"b\n", b""),
        (b"a\nb\nc", b"b\n", b"c"),
        (b"abc", b"", b"abc"),
        (b"a\n" + b"x" * 100_000, b"a\n", b"x" * 100_000),
        (b"a\n" + b"x" * 100_000 + b"\n", b"x" * 100_000 + b"\n", b""),
        (b"y" * 8191 + b"\nb\n", b"b\n", b""),
    ],
)
def test_the_last_line_and_what_is_torn(tmp_path, content, line, torn):
    path = tmp_path / "f"
    path.write_bytes(content)
    assert disk.last_line(path) == (line, torn)
    disk.drop_torn(path)
    assert path.read_bytes() == content.removesuffix(torn)


def test_there_is_nothing_torn_in_no_file(tmp_path):
    disk.drop_torn(tmp_path / "none")
    assert not list(tmp_path.iterdir())


def test_the_lock_is_for_one_writer_or_many_readers(tmp_path):
    order = []
    with disk.locked(tmp_path, alone=True):
        waiting = threading.Thread(target=lambda: _take(tmp_path, order), daemon=True)
        waiting.start()
        waiting.join(0.05)
        order.append("writer")
    waiting.join(20)
    assert order == ["writer", "reader"]
    with disk.locked(tmp_path, alone=False):
        reader = threading.Thread(target=lambda: _take(tmp_path, order), daemon=True)
        reader.start()
        reader.join(20)
    assert order == ["writer", "reader", "reader"]


def _take(folder, order):
    with disk.locked(folder, alone=False):
        order.append("reader")


def test_a_reader_of_a_copy_needs_no_lock_and_makes_none(tmp_path):
    with disk.locked(tmp_path, alone=False):
        pass
    assert not os.listdir(tmp_path)


def test_a_writer_needs_the_folder(tmp_path):
    with pytest.raises(FileNotFoundError), disk.locked(tmp_path / "none", alone=True):
        pass
