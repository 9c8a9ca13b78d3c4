"""The page on the audit trail keeps its word: its example runs, and says what it says there."""

import re
import shlex
from pathlib import Path

import msgspec
import pytest
from audit_house import KEYS, record

from penstock.audit.record import Record, Tally
from penstock.audit.trail import DEFAULT_PACE, Trail
from penstock.cli import main

PAGE = (Path(__file__).parents[3] / "docs" / "operations" / "audit.md").read_text(encoding="utf-8")
SESSION = re.search(r"```console\n(.*?)```", PAGE, re.DOTALL)[1]
SAID = [tuple(step.split("\n", 1)) for step in re.split(r"^\$ ", SESSION, flags=re.MULTILINE)[1:]]


@pytest.fixture
async def state(tmp_path, clock):
    key = tmp_path / "keyring.key"
    key.write_bytes(bytes(range(32)))
    key.chmod(0o600)
    trail = Trail.open(tmp_path / "audit", KEYS, clock)
    await trail.tenant_mac("acme")
    trail.add(
        [record(0), record(1, type="PHONE", detector="contact.phone"), record(2), Tally("acme", "IP", 4, "0")]
    )
    trail.add([record(4, tenant="bravo", type="PHONE"), record(5, tenant="bravo", type="SECRET")])
    await trail.close()
    return tmp_path


def test_the_example_says_what_it_says(state, capsys):
    for command, expected in SAID:
        words = shlex.split(command)
        assert words[:2] == ["penstock", "audit"]
        assert main([*words[1:], "--state", str(state)]) == 0
        told = capsys.readouterr().out
        if words[2] == "export":  # too long for the page: its beginning is there
            assert told.startswith(expected)
            assert len(told) > len(expected)
        else:
            assert told == expected
    assert {shlex.split(command)[2] for command, _ in SAID} == {"verify", "show", "export", "erase"}


def test_every_field_is_on_the_page():
    table = PAGE[PAGE.index("| field") : PAGE.index("## What it can't hold")]
    missing = [field.name for field in msgspec.structs.fields(Record) if f"{field.name}`" not in table]
    assert missing == []


def test_the_numbers_are_the_defaults():
    assert f"after {DEFAULT_PACE.head_records} lines, {DEFAULT_PACE.head_s:.0f} seconds" in PAGE
    assert f"about {DEFAULT_PACE.write_s} s after" in PAGE
