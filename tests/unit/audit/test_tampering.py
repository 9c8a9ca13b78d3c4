"""Whoever changes a trail is found out: random tamperings by somebody who has the folder, but not the key."""

import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from audit_house import KEYS, NOON, OTHER_KEYS, contents, record, tear, write

from penstock.audit.chain import Chain
from penstock.audit.folder import HEADS, file_name
from penstock.audit.line import Seal, chained, head_line
from penstock.audit.record import encode
from penstock.audit.verify import verify

Files = dict[str, bytes]


@dataclass
class Loot:
    """What the tamperer has: this trail, an older state of it, and another trail of the same key."""

    now: Files
    older: Files
    other: Files


def audit_files(files: Files) -> list[str]:
    return [name for name in files if name != HEADS]


def lines_of(content: bytes) -> list[bytes]:
    return content.splitlines(keepends=True)


def change_a_byte(loot: Loot, chance: random.Random) -> Files:
    name = chance.choice(list(loot.now))
    content = bytearray(loot.now[name])
    content[chance.randrange(len(content))] ^= chance.randrange(1, 256)
    return loot.now | {name: bytes(content)}


def remove_bytes(loot: Loot, chance: random.Random) -> Files:
    name = chance.choice(list(loot.now))
    content = loot.now[name]
    start = chance.randrange(len(content))
    return loot.now | {name: content[:start] + content[start + chance.randint(1, 600) :]}


def insert_bytes(loot: Loot, chance: random.Random) -> Files:
    name = chance.choice(list(loot.now))
    content, place = loot.now[name], chance.randrange(len(loot.now[name]) + 1)
    return loot.now | {name: content[:place] + chance.randbytes(chance.randint(1, 600)) + content[place:]}


def remove_a_line(loot: Loot, chance: random.Random) -> Files:
    name = chance.choice(list(loot.now))
    lines = lines_of(loot.now[name])
    lines.pop(chance.randrange(len(lines)))
    return loot.now | {name: b"".join(lines)}


def repeat_a_line(loot: Loot, chance: random.Random) -> Files:
    source, name = chance.choice(list(loot.now)), chance.choice(list(loot.now))
    lines = lines_of(loot.now[name])
    lines.insert(chance.randint(0, len(lines)), chance.choice(lines_of(loot.now[source])))
    return loot.now | {name: b"".join(lines)}


def swap_lines(loot: Loot, chance: random.Random) -> Files:
    one, other = chance.choice(list(loot.now)), chance.choice(list(loot.now))
    files = {name: lines_of(content) for name, content in loot.now.items()}
    at, there = chance.randrange(len(files[one])), chance.randrange(len(files[other]))
    files[one][at], files[other][there] = files[other][there], files[one][at]
    return {name: b"".join(lines) for name, lines in files.items()}


def cut_a_tail(loot: Loot, chance: random.Random) -> Files:
    name = chance.choice(list(loot.now))
    content = loot.now[name]
    return loot.now | {name: content[: chance.randrange(len(content))]}


def cut_the_trail(loot: Loot, chance: random.Random) -> Files:
    """Cut whole lines off the trail's end, files among them."""
    lines = [(name, line) for name in audit_files(loot.now) for line in lines_of(loot.now[name])]
    files: Files = {HEADS: loot.now[HEADS]}
    for name, line in lines[: chance.randint(1, len(lines) - 1)]:
        files[name] = files.get(name, b"") + line
    return files


def delete_a_file(loot: Loot, chance: random.Random) -> Files:
    gone = chance.choice(list(loot.now))
    return {name: content for name, content in loot.now.items() if name != gone}


def swap_files(loot: Loot, chance: random.Random) -> Files:
    one, other = chance.sample(list(loot.now), 2)
    return loot.now | {one: loot.now[other], other: loot.now[one]}


def rename_a_file(loot: Loot, chance: random.Random) -> Files:
    files = dict(loot.now)
    content = files.pop(chance.choice(audit_files(files)))
    return files | {file_name(chance.randint(1, 300)): content}


def join_files(loot: Loot, chance: random.Random) -> Files:
    files, names = dict(loot.now), audit_files(loot.now)
    at = chance.randrange(len(names) - 1)
    files[names[at]] += files.pop(names[at + 1])
    return files


def split_a_file(loot: Loot, chance: random.Random) -> Files:
    name = chance.choice(audit_files(loot.now))
    lines, first = lines_of(loot.now[name]), int(name[6:18])
    at = chance.randrange(1, len(lines))
    return loot.now | {name: b"".join(lines[:at]), file_name(first + at): b"".join(lines[at:])}


def replay_an_older_file(loot: Loot, chance: random.Random) -> Files:
    name = chance.choice([name for name in loot.older if loot.older[name] != loot.now[name]])
    return loot.now | {name: loot.older[name]}


def take_a_foreign_file(loot: Loot, chance: random.Random) -> Files:
    return loot.now | {chance.choice(list(loot.now)): loot.other[chance.choice(list(loot.other))]}


def take_a_foreign_line(loot: Loot, chance: random.Random) -> Files:
    name = chance.choice([name for name in loot.now if name in loot.other])
    lines, foreign = lines_of(loot.now[name]), lines_of(loot.other[name])
    at = chance.randrange(min(len(lines), len(foreign)))
    lines[at] = foreign[at]
    return loot.now | {name: b"".join(lines)}


def append_a_foreign_head(loot: Loot, chance: random.Random) -> Files:
    return loot.now | {HEADS: loot.now[HEADS] + chance.choice(lines_of(loot.other[HEADS]))}


def forge_the_end(loot: Loot, chance: random.Random) -> Files:
    """Change a record and compute all that follows anew, with a key of one's own."""
    seal, name = Seal(OTHER_KEYS, "chain"), audit_files(loot.now)[-1]
    lines, first = lines_of(loot.now[name]), int(name[6:18])
    at = chance.randrange(1, len(lines))
    mac = lines[at - 1][8:72].decode()
    for place in range(at, len(lines)):
        mac, lines[place] = chained(seal, mac, first + place, NOON, encode(record(place)))
    heads = lines_of(loot.now[HEADS])
    heads[-1] = head_line(Seal(OTHER_KEYS, "heads"), "0" * 32, len(heads), first + len(lines) - 1, mac, NOON)
    return loot.now | {name: b"".join(lines), HEADS: b"".join(heads)}


# What looks like a trail in itself; only heads that are kept elsewhere can tell.


def put_back_an_older_state(loot: Loot, chance: random.Random) -> Files:
    return dict(loot.older)


def put_another_trail_there(loot: Loot, chance: random.Random) -> Files:
    return dict(loot.other)


def cut_trail_and_heads_alike(loot: Loot, chance: random.Random) -> Files:
    keep = chance.randrange(1, len(lines_of(loot.now[HEADS])))
    files: Files = {HEADS: b"".join(lines_of(loot.now[HEADS])[:keep])}
    seen = 0
    for name in audit_files(loot.now):
        for line in lines_of(loot.now[name]):
            if seen < keep:
                files[name] = files.get(name, b"") + line
                seen += b'"kind":"checkpoint"' in line
    return files


Tamper = Callable[[Loot, random.Random], Files]
WITHIN: tuple[Tamper, ...] = (
    *(change_a_byte, remove_bytes, insert_bytes, remove_a_line, repeat_a_line, swap_lines, cut_a_tail),
    *(cut_the_trail, delete_a_file, swap_files, rename_a_file, join_files, split_a_file),
    *(replay_an_older_file, take_a_foreign_file, take_a_foreign_line, append_a_foreign_head, forge_the_end),
)
WHOLE: tuple[Tamper, ...] = (put_back_an_older_state, put_another_trail_there, cut_trail_and_heads_alike)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    return tmp_path_factory.mktemp("elsewhere") / "heads.jsonl"


@pytest.fixture(scope="module")
def loot(tmp_path_factory, elsewhere):
    """A trail of several files with a torn line in its midst, cleanly closed."""
    folder = tmp_path_factory.mktemp("trail") / "audit"
    write(folder, 30, heads_to=elsewhere, rotate_bytes=5000)
    tear(folder)
    chain = Chain(folder, KEYS, heads_to=elsewhere, rotate_bytes=5000)
    chain.append([(NOON, record(at)) for at in range(4)])
    older = contents(folder)
    for at in range(12):
        chain.append([(NOON, record(at))])
    chain.checkpoint(NOON)
    assert verify(folder, KEYS, elsewhere).exit_code == 0
    write(folder.parent / "other", 46, rotate_bytes=5000)
    return Loot(contents(folder), older, contents(folder.parent / "other"))


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path / "tampered")


class Place:
    """A folder that gets the files of each trial; only what differs is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._held: Files = {}

    def put(self, files: Files) -> Path:
        for name in self._held.keys() - files.keys():
            (self.folder / name).unlink()
        for name, content in files.items():
            if self._held.get(name) != content:
                (self.folder / name).write_bytes(content)
        self._held = dict(files)
        return self.folder


def tampered(loot: Loot, trial: int) -> tuple[Tamper, Files]:
    """Give the tampering of this number; one that happens to change nothing is tried again."""
    chance = random.Random(trial)  # noqa: S311
    tamper = (*WITHIN, *WHOLE)[trial % (len(WITHIN) + len(WHOLE))]
    while (files := tamper(loot, chance)) == loot.now:
        pass
    return tamper, files


@pytest.mark.parametrize(
    "trials", [300, pytest.param(10_000, marks=[pytest.mark.slow, pytest.mark.timeout(900)])]
)
def test_every_tampering_is_detected(loot, place, elsewhere, trials):
    missed = []
    for trial in range(trials):
        tamper, files = tampered(loot, trial)
        folder = place.put(files)
        heads = elsewhere if tamper in WHOLE else None
        if verify(folder, KEYS, heads).exit_code != 1:
            missed.append((trial, tamper.__name__))
    assert missed == []
    assert verify(place.put(loot.now), KEYS, elsewhere).exit_code == 0, "what was not changed is still good"


@pytest.mark.parametrize("tamper", WHOLE)
def test_a_folder_alone_can_not_tell_that_all_of_it_was_replaced(loot, place, tamper):
    """Why heads should go elsewhere; were this to fail, the docs say too little."""
    folder = place.put(tamper(loot, random.Random(1)))  # noqa: S311
    assert verify(folder, KEYS).exit_code == 0


def test_a_gateway_does_not_continue_a_trail_whose_end_was_cut(loot, place):
    for trial in range(50):
        folder = place.put(cut_the_trail(loot, random.Random(trial)))  # noqa: S311
        before = contents(folder)
        with pytest.raises(Exception, match="audit verify"):
            Chain(folder, KEYS).start(NOON)
        assert contents(folder) == before
    shutil.rmtree(place.folder)
