"""`penstock audit`: what it prints, and how it ends."""

import csv
import io
import json
import shutil

import pytest
from audit_house import KEYS, NOON, record, write

from penstock.audit.chain import Chain
from penstock.audit.keys import TenantKeys
from penstock.cli import main


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.delenv("PENSTOCK_STATE", raising=False)
    state = tmp_path / "state"
    state.mkdir()
    give_key(state, bytes(range(32)))
    chain = write(state / "audit", 40)
    chain.append([("2027-01-16T00:00:00.000Z", record(41, tenant="bravo", type="PHONE"))])
    TenantKeys(state / "audit", KEYS).mac("acme")
    return state


def give_key(state, key):
    path = state / "keyring.key"
    path.unlink(missing_ok=True)
    path.write_bytes(key)
    path.chmod(0o600)


@pytest.fixture
def audit(state, capsys):
    def run(*words):
        code = main(["audit", *words, "--state", str(state)])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


def break_line_5(state):
    first = min((state / "audit").glob("audit-*"))
    lines = first.read_bytes().splitlines(keepends=True)
    lines[4] = lines[4].replace(b"EMAIL", b"PHONE")
    first.write_bytes(b"".join(lines))
    return first.name


def test_verify_a_good_trail(audit):
    code, out, err = audit("verify")
    assert (code, err) == (0, "")
    assert "every byte is as it was written" in out
    assert "5 heads; 1 line after the last" in out


def test_verify_says_json(audit, state):
    code, out, _ = audit("verify", "--json")
    assert (code, json.loads(out)["broken"]) == (0, None)
    name = break_line_5(state)
    code, out, _ = audit("verify", "--json")
    assert code == 1
    assert json.loads(out)["broken"] == {"file": name, "line": 5, "reason": "is not as it was written"}


def test_verify_names_the_first_break(audit, state):
    name = break_line_5(state)
    assert audit("verify") == (1, "", f"{name}:5: is not as it was written\n")


def test_verify_a_copy_an_export_and_heads_from_elsewhere(audit, state, tmp_path):
    copy = shutil.copytree(state / "audit", tmp_path / "copy")
    assert audit("verify", str(copy))[0] == 0
    heads = shutil.copy(state / "audit" / "heads.jsonl", tmp_path / "heads")
    assert audit("verify", "--heads", str(heads))[0] == 0
    export = tmp_path / "export.jsonl"
    export.write_text(audit("export", "--type", "IP")[1])
    code, out, _ = audit("verify", str(export))
    assert (code, out) == (0, "5 lines in 1 file: every byte is as it was written\n")
    export.write_text(export.read_text().replace('"IP"', '"ID"', 1))
    assert audit("verify", str(export))[0] == 1
    assert audit_refused("verify", str(export), "--heads", str(heads), state=state)


def audit_refused(*words, state):
    return main(["audit", *words, "--state", str(state)]) == 2


def test_show_a_table(audit):
    code, out, err = audit("show", "--tenant", "bravo")
    assert (code, err) == (0, "")
    head, _, row, _, counts = out.splitlines()
    assert head.split() == "line time tenant type action pointer detector value".split()
    assert row.split()[2:6] == ["bravo", "PHONE", "placeholder", "request"]
    assert counts == "PHONE 1"


def test_show_the_last_few_and_count_all(audit):
    out = audit("show", "--tenant", "acme", "--last", "3")[1]
    assert len(out.splitlines()) == 2 + 3 + 2
    assert out.splitlines()[-1] == "EMAIL 35, IP 95"


def test_show_json(audit):
    rows = json.loads(audit("show", "--json", "--type", "PHONE")[1])
    assert [row["record"]["tenant"] for row in rows] == ["bravo"]


def test_show_nothing(audit):
    assert audit("show", "--tenant", "nobody")[1].endswith("\n\nnothing\n")


def test_show_and_export_stop_at_a_break(audit, state):
    name = break_line_5(state)
    for words in (("show",), ("export",), ("export", "--format", "csv")):
        code, out, err = audit(*words)
        assert code == 1
        assert err == f"{name}:5: is not as it was written; what comes after it is not shown\n"
        assert '"export"' not in out
        assert out


@pytest.mark.parametrize(
    ("words", "count"),
    [
        (("--since", "2027-01-16"), 1),
        (("--until", "2027-01-16", "--tenant", "acme"), 40),
        (("--since", "2027-01-15T08:00:00Z", "--until", "2027-01-15T08:00:00.001Z", "--type", "IP"), 5),
        (("--since", "2028-01-01"), 0),
    ],
)
def test_export_by_time(audit, words, count):
    assert len(audit("export", *words)[1].splitlines()) == count + 1
    rows = list(csv.DictReader(io.StringIO(audit("export", "--format", "csv", *words)[1])))
    assert len(rows) == count


def test_erase(audit, state):
    code, out, _ = audit("erase", "--tenant", "acme")
    assert (code, list((state / "audit" / "keys").iterdir())) == (0, [])
    assert "the key of acme is erased" in out
    assert audit("verify")[0] == 0
    assert "key erased" in audit("show", "--tenant", "acme")[1]
    assert audit("erase", "--tenant", "acme") == (2, "", "there is no key of a tenant 'acme'\n")


def test_erase_on_a_trail_that_can_not_go_on_says_what_was_done(audit, state):
    (state / "audit" / "heads.jsonl").unlink()
    code, _, err = audit("erase", "--tenant", "acme")
    assert code == 2
    assert err.startswith("the key of acme is erased, but the trail can't say so: ")
    assert not list((state / "audit" / "keys").iterdir())


@pytest.mark.parametrize("words", [("verify",), ("show",), ("export",)])
def test_another_key_is_code_2(audit, state, words):
    give_key(state, bytes(32))
    code, _, err = audit(*words)
    assert (code, err) == (2, f"{state / 'audit'}: nothing in it was written with this key\n")


@pytest.mark.parametrize("words", [("verify",), ("show",), ("export",), ("erase", "--tenant", "acme")])
def test_a_missing_folder_is_code_2_and_nothing_is_made(audit, state, words):
    shutil.rmtree(state / "audit")
    assert audit(*words) == (2, "", f"{state / 'audit'}: there is no audit trail\n")
    (state / "keyring.key").unlink()
    code, _, err = audit(*words)
    assert code == 2
    assert "keyring.key: no such file; --state names" in err
    assert not list(state.iterdir())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "say what to do"),
        (("forget",), "say what to do"),
        (("erase",), "say whose key"),
        (("verify", "--tenant", "acme"), "audit verify takes no --tenant"),
        (("show", "--format", "csv"), "audit show takes no --format"),
        (("export", "--json"), "audit export takes no --json"),
        (("show", "somewhere"), "audit show takes no path"),
        (("erase", "--tenant", "acme", "--since", "2027-01-01"), "audit erase takes no --since"),
        (("export", "--since", "yesterday"), "write --since and --until as"),
        (("erase", "--tenant", "no tenant's name"), "there is no key"),
        (("verify", "/nowhere"), "there is no audit trail"),
        (("verify", "--heads", "/nowhere"), "/nowhere: No such file"),
    ],
)
def test_what_makes_no_sense_is_code_2(audit, words, said):
    code, out, err = audit(*words)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_reading_writes_nothing(audit, state):
    before = {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}
    for words in (("verify",), ("show",), ("export",)):
        audit(*words)
    assert {path: path.read_bytes() for path in state.rglob("*") if path.is_file()} == before
    assert Chain(state / "audit", KEYS).append([(NOON, record())]) == 2
