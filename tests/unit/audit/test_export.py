"""Export: chosen lines that still verify, and CSV for spreadsheets."""

import csv
import io

import pytest
from audit_house import KEYS, NOON, OTHER_KEYS, record, write

from penstock.audit.chain import Chain
from penstock.audit.export import COLUMNS, Choice, JsonLines, csv_head, csv_row, moment, verify_export
from penstock.audit.problems import WrongKey
from penstock.audit.record import Erased
from penstock.audit.walk import Walk
from penstock.errors import StartError


@pytest.fixture
def trail(folder):
    write(folder, 40)
    chain = Chain(folder, KEYS)
    chain.append(
        [("2027-01-16T00:00:00.000Z", record(7, tenant="bravo", type="PHONE")), (NOON, Erased("acme"))]
    )
    return folder


def exported(folder, path, choice=Choice()):  # noqa: B008
    writer = JsonLines(KEYS, choice)
    lines = [writer.line(raw) for raw, line in Walk(folder, KEYS).lines() if choice.takes(line)]
    path.write_bytes(b"".join(lines) + writer.end())
    return path


def chosen(folder, **choice):
    return [line for _, line in Walk(folder, KEYS).lines() if Choice(**choice).takes(line)]


def test_choices(trail):
    everything = chosen(trail)
    assert {line.record.tenant for line in chosen(trail, tenant="bravo")} == {"bravo"}
    assert len(chosen(trail, tenant="acme")) == 41  # the erasure too
    assert {line.record.type for line in chosen(trail, type="IP")} == {"IP"}
    assert len(chosen(trail, since="2027-01-16T00:00:00.000Z")) == 1
    assert len(chosen(trail, until="2027-01-16T00:00:00.000Z")) == len(everything) - 1
    assert not chosen(trail, tenant="acme", type="PHONE")


def test_an_export_of_everything_is_the_trail_and_verifies(trail, tmp_path):
    path = exported(trail, tmp_path / "e.jsonl")
    files = b"".join(file.read_bytes() for file in sorted(trail.glob("audit-*")))
    assert path.read_bytes().startswith(files)
    verdict = verify_export(path, KEYS)
    assert (verdict.exit_code, verdict.lines) == (0, len(files.splitlines()))


@pytest.mark.parametrize("choice", [Choice(tenant="bravo"), Choice(type="IP"), Choice(tenant="nobody")])
def test_a_filtered_export_verifies(trail, tmp_path, choice):
    assert verify_export(exported(trail, tmp_path / "e.jsonl", choice), KEYS).exit_code == 0


@pytest.mark.parametrize(
    ("change", "line", "reason"),
    [
        (lambda lines: lines[1:], 5, "5 lines were exported before it"),
        (lambda lines: [*lines[:2], *lines[3:]], 5, "5 lines were exported before it"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], 2, "does not follow"),
        (lambda lines: [lines[0], *lines], 2, "does not follow"),
        (lambda lines: lines[:-1], 6, "the end of the export is missing"),
        (lambda lines: lines[:3], 4, "the end of the export is missing"),
        (lambda lines: [*lines, lines[0]], 7, "behind the end"),
        (lambda lines: [*lines, lines[-1]], 7, "behind the end"),
        (lambda lines: [lines[0].replace(b'"IP"', b'"ID"'), *lines[1:]], 1, "not as it was written"),
        (lambda lines: [*lines[:-1], lines[-1].replace(b'"IP"', b'""')], 6, "not as it was written"),
        (lambda lines: [*lines[:-1], lines[-1][:-1]], 6, "not as it was written"),
    ],
)
def test_an_export_that_was_changed(trail, tmp_path, change, line, reason):
    path = exported(trail, tmp_path / "e.jsonl", Choice(type="IP"))
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) == 6
    path.write_bytes(b"".join(change(lines)))
    verdict = verify_export(path, KEYS)
    assert verdict.exit_code == 1
    assert (verdict.broken.file, verdict.broken.line) == ("e.jsonl", line)
    assert reason in verdict.broken.reason


def test_the_end_of_another_export_does_not_fit(trail, tmp_path):
    one = exported(trail, tmp_path / "1", Choice(type="IP")).read_bytes().splitlines(keepends=True)
    other = exported(trail, tmp_path / "2", Choice(type="PHONE")).read_bytes().splitlines(keepends=True)
    (tmp_path / "3").write_bytes(b"".join([*one[:-1], other[-1]]))
    assert "1 lines were exported before it" in verify_export(tmp_path / "3", KEYS).broken.reason


def test_one_changed_byte_anywhere_is_seen(trail, tmp_path):
    path = exported(trail, tmp_path / "e.jsonl", Choice(type="PHONE"))
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert verify_export(path, KEYS).exit_code == 1, place


def test_another_key_and_no_file(trail, tmp_path):
    path = exported(trail, tmp_path / "e.jsonl")
    with pytest.raises(WrongKey):
        verify_export(path, OTHER_KEYS)
    with pytest.raises(StartError, match="No such file"):
        verify_export(tmp_path / "none", KEYS)


def test_csv_has_a_column_for_everything(trail):
    text = csv_head() + "".join(csv_row(line) for _, line in Walk(trail, KEYS).lines())
    rows = list(csv.DictReader(io.StringIO(text)))
    assert tuple(rows[0]) == COLUMNS
    assert {row["kind"] for row in rows} == {"opens", "checkpoint", "redaction", "tally", "erased"}
    phone = next(row for row in rows if row["type"] == "PHONE")
    assert (phone["tenant"], phone["start"], phone["end"], phone["checked"]) == ("bravo", "7", "18", "True")
    assert [int(row["seq"]) for row in rows] == list(range(1, len(rows) + 1))
    assert None not in rows[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2027-01-15", "2027-01-15T00:00:00.000Z"),
        ("2027-01-15T08:00", "2027-01-15T08:00:00.000Z"),
        ("2027-01-15T08:00:00.25Z", "2027-01-15T08:00:00.250Z"),
        ("2027-01-15T08:00:00+02:00", "2027-01-15T06:00:00.000Z"),
    ],
)
def test_moments(text, told):
    assert moment(text) == told


@pytest.mark.parametrize("text", ["yesterday", "15.1.2027", "", "2027-13-01"])
def test_no_moment(text):
    with pytest.raises(ValueError, match=r"."):
        moment(text)
