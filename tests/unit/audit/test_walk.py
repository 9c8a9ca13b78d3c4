"""The walk: the first line that isn't as it was written, by file and line, and why."""

import shutil

import pytest
from audit_house import KEYS, NOON, contents, record, tear, write

from penstock.audit.chain import Chain
from penstock.audit.folder import HEADS, file_name, first_seq, trail_files
from penstock.audit.line import Seal, chained
from penstock.audit.record import Checkpoint, Opens, Record, Tally, encode
from penstock.audit.walk import Break, Broken, Walk


def walked(folder):
    """Walk to the end, or give where it broke."""
    try:
        return list(Walk(folder, KEYS).lines())
    except Broken as broken:
        return broken.broken


def lines_of(path):
    return path.read_bytes().splitlines(keepends=True)


def rewrite(path, lines):
    path.write_bytes(b"".join(lines))


@pytest.fixture
def files(folder):
    write(folder, 60)
    return trail_files(folder)


def test_every_line_is_given_as_it_stands(folder, files):
    walk = Walk(folder, KEYS)
    told = list(walk.lines())
    assert b"".join(raw for raw, _ in told) == b"".join(path.read_bytes() for path in files)
    assert [line.seq for _, line in told] == list(range(1, len(told) + 1))
    assert {type(line.record) for _, line in told} == {Opens, Checkpoint, Record, Tally}
    assert (walk.files, walk.seq, walk.after_head, walk.torn) == (len(files), len(told), 0, [])
    assert b"".join(walk.heads) == (folder / HEADS).read_bytes()


def test_a_changed_line_is_named(folder, files):
    lines = lines_of(files[1])
    rewrite(
        files[1], [*lines[:4], lines[4].replace(b'"EMAIL"', b'"PHONE"').replace(b'"IP"', b'"ID"'), *lines[5:]]
    )
    assert walked(folder) == Break(files[1].name, 5, "is not as it was written")
    assert str(walked(folder)) == f"{files[1].name}:5: is not as it was written"


def test_a_line_that_is_missing(folder, files):
    lines, seq = lines_of(files[0]), 4
    rewrite(files[0], lines[: seq - 1] + lines[seq:])
    assert walked(folder) == Break(files[0].name, 4, "lines 4 to 4 of the trail are missing before this")


def test_lines_in_another_order(folder, files):
    lines = lines_of(files[0])
    rewrite(files[0], [*lines[:5], lines[6], lines[5], *lines[7:]])
    assert walked(folder) == Break(files[0].name, 6, "lines 6 to 6 of the trail are missing before this")


def test_a_line_written_twice(folder, files):
    lines = lines_of(files[0])
    rewrite(files[0], [*lines[:5], lines[4], *lines[5:]])
    reason = "line 5 of the trail stands here, where line 6 should"
    assert walked(folder) == Break(files[0].name, 6, reason)


def test_a_file_that_is_missing(folder, files):
    files[1].unlink()
    last = first_seq(files[2]) - 1
    reason = f"lines {first_seq(files[1])} to {last} of the trail are missing before this"
    assert walked(folder) == Break(files[2].name, 0, reason)


def test_the_first_file_is_missing(folder, files):
    files[0].unlink()
    assert (
        walked(folder).reason == f"lines 1 to {first_seq(files[1]) - 1} of the trail are missing before this"
    )


def test_the_last_file_is_missing(folder, files):
    files[-1].unlink()
    broken = walked(folder)
    assert broken.file == HEADS
    assert "it was cut" in broken.reason


def test_all_files_are_missing(folder, files):
    for path in files:
        path.unlink()
    assert walked(folder) == Break(file_name(1), 0, "all files of the trail are missing")


def test_a_cut_of_whole_lines(folder, files):
    rewrite(files[-1], lines_of(files[-1])[:-1])
    number, seq = len(lines_of(folder / HEADS)), sum(len(lines_of(path)) for path in files)
    reason = f"the trail ends in line {seq}, but this head is of line {seq + 1}: it was cut"
    assert walked(folder) == Break(HEADS, number, reason)


def test_a_cut_within_a_line(folder, files):
    rewrite(files[-1], [files[-1].read_bytes()[:-3]])
    assert "it was cut" in walked(folder).reason


def test_a_cut_of_the_heads(folder, files):
    heads = folder / HEADS
    lines = lines_of(heads)
    rewrite(heads, lines[:-2])
    assert walked(folder) == Break(HEADS, len(lines) - 1, f"head {len(lines) - 1} and later ones are missing")
    heads.unlink()
    assert walked(folder) == Break(HEADS, 1, "head 1 and later ones are missing")


def test_an_unfinished_last_line_is_reported_as_torn(folder, files):
    Chain(folder, KEYS).append([(NOON, record())])
    number = len(lines_of(files[-1])) + 1
    tear(folder, b"{half")
    assert walked(folder) == Break(files[-1].name, number, "an unfinished line of 5 bytes: a crash, or a cut")


def test_a_torn_line_may_be_of_any_length(folder, files):
    tear(folder, bytes(100_000))  # a block that the disk had not got yet when the power failed
    assert "100000 bytes" in walked(folder).reason
    Chain(folder, KEYS).start(NOON)
    Chain(folder, KEYS).append([(NOON, record())])
    walk = Walk(folder, KEYS)
    assert list(walk.lines())
    assert len(walk.torn) == 1


def test_a_torn_line_that_was_changed_or_taken_away_later(folder, files):
    torn = tear(folder, b"{half")
    Chain(folder, KEYS).append([(NOON, record())])
    whole = torn.read_bytes()
    for content in (whole[:-5], whole[:-1], whole[:-1] + b"F", whole + b"f", whole + b"\n"):
        torn.write_bytes(content)
        assert isinstance(walked(folder), Break)
    torn.write_bytes(whole)
    assert not isinstance(walked(folder), Break)


def test_a_line_of_the_same_place_in_another_trail(folder, files, tmp_path):
    other = tmp_path / "other"
    write(other, 60)
    lines, foreign = lines_of(files[0]), lines_of(trail_files(other)[0])
    rewrite(files[0], [*lines[:5], foreign[5], *lines[6:]])
    assert walked(folder) == Break(files[0].name, 6, "belongs to another trail, or to a fork of this one")


def test_files_that_were_joined_or_split(folder, files):
    first, second = files[0].read_bytes(), files[1].read_bytes()
    files[0].write_bytes(first + second)
    files[1].unlink()
    assert walked(folder).reason == "files were joined or split here"
    lines = first.splitlines(keepends=True)
    rewrite(files[0], lines[:3])
    rewrite(folder / file_name(4), lines[3:])
    files[1].write_bytes(second)
    assert walked(folder) == Break(file_name(4), 1, "files were joined or split here")


def test_a_file_under_another_name(folder, files):
    files[1].rename(folder / file_name(first_seq(files[1]) + 1))
    assert "missing before this" in walked(folder).reason


@pytest.mark.parametrize("content", [b"", b"\n", b"{half"])
def test_a_file_of_nothing(folder, files, content):
    seq = sum(len(lines_of(path)) for path in files) + 1
    (folder / file_name(seq)).write_bytes(content)
    broken = walked(folder)
    assert broken.file == file_name(seq)


def test_a_fork_of_ours_is_no_way_to_drop_heads(folder, files):
    """A trail that was continued after its heads were cut: its numbers do not add up."""
    seal = Seal(KEYS, "chain")
    lines = lines_of(files[-1])
    mac, seq = lines[-1][8:72].decode(), sum(len(lines_of(path)) for path in files)
    raw = chained(seal, mac, seq + 1, NOON, encode(Checkpoint(3)))[1]
    rewrite(files[-1], [*lines, raw])
    assert "heads were lost" in walked(folder).reason


def test_heads_of_another_trail_or_place(folder, files, tmp_path):
    other = tmp_path / "other"
    write(other, 60)
    heads = folder / HEADS
    lines = lines_of(heads)
    rewrite(heads, [*lines[:2], lines_of(other / HEADS)[2], *lines[3:]])
    assert walked(folder) == Break(HEADS, 3, "is a head of another trail")
    rewrite(heads, [*lines[:2], lines[3], lines[2], *lines[4:]])
    assert "out of its place" in walked(folder).reason
    rewrite(heads, [*lines, lines[-1]])
    assert walked(folder).line == len(lines) + 1


def test_what_gateways_write_meanwhile_does_not_disturb(folder, files):
    chain, seen = Chain(folder, KEYS), 0
    expected = sum(len(lines_of(path)) for path in files)
    for _ in Walk(folder, KEYS).lines():
        seen += 1
        if seen % 5 == 0:
            chain.append([(NOON, record())])
            chain.checkpoint(NOON)
    assert seen == expected


def test_a_walk_changes_nothing(folder, files, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy", ignore=shutil.ignore_patterns("lock"))
    before = contents(copy)
    assert not isinstance(walked(copy), Break)
    assert contents(copy) == before
    assert not (copy / "lock").exists()
