"""`penstock keys`: a key is shown once and alone, everything else beside it, and nothing repeats it."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from penstock.cli import keys
from penstock.errors import StoreUnavailable
from penstock.stores.keyring import Keyring
from penstock.stores.memory import MemoryRecords
from penstock.tenants.book import KeyBook
from penstock.tenants.key import KEYS

TENANTS = """\
tenants:
  acme: {projects: {search: {}}, users: {ada: {}}}
  beta: {}
"""


@pytest.fixture(autouse=True)
def keyed(policies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Policies with two tenants, and an upstream with a key of its own."""
    (policies / "tenants.yaml").write_text(TENANTS)
    upstreams = policies / "upstreams.yaml"
    upstreams.write_text(upstreams.read_text().replace("key: client", "key: env:OPENAI_API_KEY"))
    monkeypatch.setenv("PENSTOCK_POLICIES", str(policies))
    monkeypatch.setenv("PENSTOCK_STATE", "state")


def create(run, *words):
    told = run("keys", "create", *words)
    assert told.code == 0, told.err
    return told.out.rstrip("\n")


def listed(run, *words):
    told = run("keys", "list", "--json", *words)
    assert told.code == 0
    return {each["id"]: each for each in json.loads(told.out)}


def key_id(value):
    return value[9:21]


def test_a_key_is_alone_on_stdout_and_its_words_beside(run):
    told = run("keys", "create", "--tenant", "acme", "--project", "search", "--user", "ada")
    assert told.code == 0
    assert re.fullmatch(r"penstock_[0-9A-Za-z]{61}\n", told.out)
    value = told.out.strip()
    assert told.err == (
        f"{key_id(value)} is a key of tenant acme project search user ada. It is shown this once:\n"
    )


def test_the_first_key_makes_the_state_folder_and_nothing_in_it_holds_the_key(run):
    value = create(run, "--tenant", "acme", "--name", "a laptop of Ada's")
    assert Path("state").stat().st_mode & 0o777 == 0o700
    assert Path("state/keyring.key").stat().st_mode & 0o777 == 0o600
    for file in (path for path in Path("state").rglob("*") if path.is_file()):
        held = file.read_bytes()
        assert not any(word in held for word in (value.encode(), value[21:].encode(), b"acme", b"laptop"))


def test_the_list_shows_everything_but_keys_and_macs(run):
    value = create(run, "--tenant", "acme", "--project", "search", "--name", "laptop", "--expires", "90d")
    other = create(run, "--tenant", "beta")
    told = run("keys", "list")
    assert (told.code, told.err) == (0, "")
    head, _, first, second = told.out.splitlines()
    assert re.split(r"  +", head) == [
        *("id", "tenant", "project", "user", "name", "created", "expires", "last use", "state")
    ]
    assert first.startswith(f"{key_id(value)}  acme")
    assert first.endswith("active")
    assert second.startswith(f"{key_id(other)}  beta")
    assert value[21:] not in told.out + run("keys", "list", "--json").out


def test_the_list_as_json(run):
    value = create(run, "--tenant", "acme", "--name", "laptop", "--expires", "2999-01-31")
    (row,) = listed(run).values()
    created = row.pop("created")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", created)
    assert row == {
        "id": key_id(value),
        "tenant": "acme",
        "project": None,
        "user": None,
        "name": "laptop",
        "expires": "2999-01-31T00:00:00.000Z",
        "last_use": None,
        "state": "active",
    }


def test_the_list_of_one_tenant(run):
    create(run, "--tenant", "acme")
    value = create(run, "--tenant", "beta")
    assert list(listed(run, "--tenant", "beta")) == [key_id(value)]
    assert listed(run, "--tenant", "nobody") == {}


def test_a_revoked_key_is_listed_as_such(run):
    value = create(run, "--tenant", "acme")
    told = run("keys", "revoke", key_id(value))
    assert (told.code, told.err) == (0, "")
    assert told.out == f"{key_id(value)} of tenant acme is revoked: gateways refuse it within a second\n"
    assert listed(run)[key_id(value)]["state"] == "revoked"
    assert run("keys", "revoke", key_id(value)).code == 0


def test_a_whole_key_found_where_it_leaked_can_be_revoked_and_is_not_repeated(run):
    value = create(run, "--tenant", "acme")
    told = run("keys", "revoke", value)
    assert told.code == 0
    assert value[21:] not in told.out + told.err
    assert listed(run)[key_id(value)]["state"] == "revoked"


def test_a_rotation_prints_the_new_key_alone(run):
    value = create(run, "--tenant", "acme", "--user", "ada", "--name", "laptop")
    told = run("keys", "rotate", key_id(value))
    assert told.code == 0
    new = told.out.strip()
    assert re.fullmatch(r"penstock_[0-9A-Za-z]{61}\n", told.out)
    assert f"the key before it, {key_id(value)}, has ended" in told.err
    rows = listed(run)
    assert [rows[key_id(each)]["state"] for each in (value, new)] == ["expired", "active"]
    assert [rows[key_id(new)][name] for name in ("tenant", "user", "name")] == ["acme", "ada", "laptop"]


def test_with_a_grace_both_keys_live(run):
    value = create(run, "--tenant", "acme")
    told = run("keys", "rotate", key_id(value), "--grace", "24h")
    assert f"{key_id(value)}, lives on for 24h" in told.err
    rows = listed(run)
    assert {row["state"] for row in rows.values()} == {"active"}
    assert rows[key_id(value)]["expires"] is not None
    assert rows[key_id(told.out.strip())]["expires"] is None


def test_a_key_whose_holder_is_gone_is_listed_so(run, policies):
    value = create(run, "--tenant", "acme", "--user", "ada")
    (policies / "tenants.yaml").write_text("tenants: {acme: {}}\n")
    assert listed(run)[key_id(value)]["state"] == "no holder"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["create"], "penstock keys create: say who pays with --tenant"),
        (["create", "--tenant", "acm"], "there is no tenant called 'acm'; did you mean 'acme'?"),
        (["create", "--tenant", "zzz"], "there is no tenant called 'zzz'"),
        (
            ["create", "--tenant", "acme", "--project", "serch"],
            "there is no project of acme called 'serch'; did you mean 'search'?",
        ),
        (["create", "--tenant", "acme", "--user", "adda"], "there is no user of acme called 'adda'"),
        (["create", "--tenant", "beta", "--user", "ada"], "there is no user of beta called 'ada'"),
        (["create", "--tenant", "acme", "--name", "x" * 101], "--name: at most 100 characters"),
        (["create", "--tenant", "acme", "--name", "a\x1b[2J"], "--name: at most 100 characters"),
        (["create", "--tenant", "acme", "--expires", "soon"], "--expires 'soon': write it as"),
        (["create", "--tenant", "acme", "--expires", "0d"], "--expires '0d': write it as"),
        (["create", "--tenant", "acme", "--expires", "5y"], "--expires '5y': write it as"),
        (["create", "--tenant", "acme", "--expires", "2020-01-31"], "that is over already"),
        (["create", "--tenant", "acme", "--grace", "5m"], "penstock keys create takes no --grace"),
        (["create", "someid", "--tenant", "acme"], "penstock keys create takes no ID"),
        (["list", "--user", "ada"], "penstock keys list takes no --user"),
        (["revoke", "x", "--json"], "penstock keys revoke takes no --json"),
        (["make"], "penstock keys: say what to do: create, list, revoke or rotate"),
        ([], "penstock keys: say what to do: create, list, revoke or rotate"),
    ],
)
def test_what_has_to_be_mended_is_one_line_and_code_2(run, words, said):
    told = run("keys", *words)
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith(said) or said in told.err
    assert told.err.count("\n") == 1


@pytest.mark.parametrize("verb", ["revoke", "rotate"])
def test_an_id_that_is_not_there(run, verb):
    value = create(run, "--tenant", "acme")
    near = key_id(value)[:-1] + "_"
    assert run("keys", verb, near).err == f"there is no key '{near}'; did you mean '{key_id(value)}'?\n"
    assert run("keys", verb, "?").err == "there is no key '?'\n"
    assert run("keys", verb).err.startswith("penstock keys: name a key by its public id")
    mistyped = value[:-1] + ("0" if value[-1] != "0" else "1")
    told = run("keys", verb, mistyped)
    assert (told.code, told.out, told.err) == (2, "", "there is no such key\n")


def test_a_dead_key_is_not_rotated(run):
    value = create(run, "--tenant", "acme")
    run("keys", "revoke", key_id(value))
    told = run("keys", "rotate", key_id(value), "--grace", "1h")
    assert (told.code, told.out) == (2, "")
    assert told.err == f"{key_id(value)} is revoked; make a new key with: penstock keys create\n"


@pytest.mark.parametrize("grace", ["1", "h", "-1h", "0h", "1.5h", "999999d"])
def test_a_grace_that_is_no_time(run, grace):
    value = create(run, "--tenant", "acme")
    told = run("keys", "rotate", key_id(value), f"--grace={grace}")
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith(f"--grace '{grace}'")
    assert len(listed(run)) == 1


def test_in_open_mode_a_key_would_be_nobodys(run, policies):
    (policies / "tenants.yaml").write_text("tenants: {}\n")
    told = run("keys", "create", "--tenant", "acme")
    assert (told.code, told.out) == (2, "")
    assert told.err == "tenants.yaml names no tenants; a key is somebody's\n"


@pytest.mark.parametrize("words", [["list"], ["revoke", "x"], ["rotate", "x"]])
def test_to_look_makes_no_keyring(run, words):
    told = run("keys", *words)
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("state/keyring.key: no such file; --state names")
    assert not Path("state").exists()


def test_another_keyring_is_noticed_before_it_makes_a_key_that_no_gateway_knows(run):
    create(run, "--tenant", "acme")
    store = ("--store", "sqlite:///state/penstock.db", "--state", "elsewhere")
    told = run("keys", "create", "--tenant", "acme", *store)
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("elsewhere/keyring.key: the keys of this store were made with another one")
    told = run("keys", "list", *store)
    assert told.code == 0
    assert told.err == "1 records were made with another keyring.key\n"
    assert run("keys", "revoke", "x", *store).code == 2


def test_policies_with_mistakes_make_no_key_but_let_one_be_revoked(run, policies):
    value = create(run, "--tenant", "acme")
    (policies / "tenants.yaml").write_text("tenant: {}\n")
    told = run("keys", "create", "--tenant", "acme")
    assert (told.code, told.out) == (2, "")
    assert "did you mean 'tenants'?" in told.err
    assert run("keys", "revoke", key_id(value)).code == 0


async def test_a_store_that_stumbles_is_asked_again_and_gets_the_same_record(monkeypatch):
    class Stumbling(MemoryRecords):
        asked = 0

        async def put(self, table, records):
            self.asked += 1
            if self.asked < 3:
                raise StoreUnavailable("a moment, please")
            await super().put(table, records)

    monkeypatch.setattr(keys, "_AGAIN_S", 0)
    records = Stumbling()
    made = await KeyBook(keys._Patient(records), Keyring(bytes(32))).create("acme")
    assert records.asked == 3
    assert set((await records.read(KEYS))[1]) == {made.key.id}


def test_a_store_that_does_not_answer(run, monkeypatch):
    create(run, "--tenant", "acme")
    monkeypatch.setattr(keys, "_AGAIN_S", 0.01)
    told = run("keys", "revoke", "x", "--store", "redis://127.0.0.1:1/0")
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("the store of keys does not answer")


def test_a_record_that_somebody_copied_to_another_id_is_no_key(run):
    value = create(run, "--tenant", "acme")
    with closing(sqlite3.connect("state/penstock-ledger.db")) as database:
        (kept,) = database.execute("SELECT value FROM records").fetchone()
        place = database.execute("SELECT place FROM records").fetchone()[0]
        database.execute("INSERT INTO records VALUES (?, ?, ?)", (place, b"copiedrecord", kept))
        database.commit()
    told = run("keys", "list")
    assert told.err == "1 records were made with another keyring.key\n"
    assert [line[:12] for line in told.out.splitlines()[2:]] == [key_id(value)]
