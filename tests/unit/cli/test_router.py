"""`penstock router` on a real store, as an operator calls it."""

import asyncio
import json

import pytest

from penstock.routing.features import FEATURES
from penstock.routing.guarantee import Kept
from penstock.routing.versions import History, Version, Versions
from penstock.routing.weights import NOTHING, Weights
from penstock.stores.keyring import Keyring
from penstock.stores.open import open_ledger


@pytest.fixture
def state(tmp_path):
    (tmp_path / "state").mkdir(mode=0o700)
    Keyring.in_folder(tmp_path / "state")
    return tmp_path / "state"


@pytest.fixture
def router(run, state):
    """Call the verb on this state folder."""
    return lambda *words: run("router", *words, "--state", str(state))


def at(state, do):
    async def opened():
        ledger, records = await open_ledger(f"sqlite:///{state / 'penstock.db'}")
        try:
            versions = Versions(records, Keyring.in_folder(state))
            await versions.look()
            return await do(versions)
        finally:
            await records.close()
            await ledger.close()

    return asyncio.run(opened())


def version(number, made_with=FEATURES):
    gain = Weights((1.0, 1.0, 1.0), number / 10, {7: 0.5})
    promise = Kept(0.5, 0.8, 200, 2, 0.03) if number > 1 else None
    said = f"wins by +0.{number}"
    packed = gain.packed(), NOTHING.packed()
    return Version(
        number, 1_800_000_000.0, 100 * number, said, *packed, promise, gain.digest(), made_with=made_with
    )


@pytest.fixture
def learned(state):
    """Let acme's auto have three versions, and globex's one."""

    async def write(versions):
        for tenant, numbers in (("acme", (1, 2, 3)), ("globex", (1,))):
            history = History(tenant, "auto")
            for number in numbers:
                history.add(version(number))
            await versions.write(history)

    at(state, write)


def live(state, tenant="acme"):
    async def number(versions):
        return versions.history(tenant, "auto").live

    return at(state, number)


def test_history_is_a_table(router, learned):
    told = router("history")
    assert (told.code, told.err) == (0, "")
    lines = told.out.splitlines()
    assert lines[0].split() == "tenant alias version made outcomes promise digest why".split()
    (of_acme,) = [line for line in lines if line.startswith("acme") and "(live)" in line]
    assert of_acme.split()[:5] == ["acme", "auto", "3", "(live)", "2027-01-15T08:00:00+00:00"]
    assert "keeps 80%" in of_acme
    assert "wins by +0.3" in of_acme
    assert len([line for line in lines if "(live)" in line]) == 2


def test_history_as_json_of_one_tenant_and_alias(router, learned):
    told = json.loads(router("history", "--json", "--tenant", "acme", "--alias", "auto").out)
    assert [(each["version"], each["outcomes"]) for each in told] == [
        ("0", "0"),
        ("1", "100"),
        ("2", "200"),
        ("3 (live)", "300"),
    ]
    assert json.loads(router("history", "--json", "--alias", "other").out) == []


def test_before_anything_was_learned(router):
    told = router("history")
    assert told.code == 0
    assert told.out.startswith("nothing was learned yet; what is live is the prior: longer prompts")
    assert json.loads(router("history", "--json").out) == []


@pytest.mark.parametrize("number", [2, 0, 3])
def test_rollback_makes_another_version_live(router, learned, state, number):
    told = router("rollback", str(number), "--tenant", "acme", "--alias", "auto")
    assert (told.code, told.out) == (0, f"version {number} of auto is live for acme\n")
    assert (live(state), live(state, "globex")) == (number, 1)
    kept = json.loads(router("history", "--json", "--tenant", "acme").out)
    assert [each["version"] for each in kept] == [
        f"{each}{' (live)' * (each == number)}" for each in range(4)
    ]
    assert kept[0]["why"].startswith("the prior")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rollback", "9", "--tenant", "acme", "--alias", "auto"], "has no version 9; there are: 1, 2, 3"),
        (["rollback", "0", "--tenant", "nobody", "--alias", "auto"], "has no version 0; there are: none"),
        (["rollback", "0", "--tenant", "acme", "--alias", "otto"], "has no version 0; there are: none"),
        (["rollback", "1", "--alias", "auto"], "say which: VERSION --tenant T --alias A"),
        (["rollback", "--tenant", "acme", "--alias", "auto"], "say which: VERSION"),
        (["forget"], "say what to do: history or rollback"),
        ([], "say what to do: history or rollback"),
    ],
)
def test_what_cannot_be_done_is_told_and_changes_nothing(router, learned, state, words, said):
    told = router(*words)
    assert (told.code, told.out) == (2, "")
    assert said in told.err
    assert (live(state), live(state, "nobody")) == (3, 0)


def test_a_version_of_another_release_is_shown_and_cannot_be_live(router, state):
    async def write(versions):
        history = History("acme", "auto")
        for each in (version(1), version(2, FEATURES - 1)):
            history.add(each)
        await versions.write(history)

    at(state, write)
    told = json.loads(router("history", "--json").out)
    assert [each["version"] for each in told] == ["0 (live)", "1", "2"]
    assert [each["why"].endswith("so it can't be live") for each in told] == [False, False, True]
    refused = router("rollback", "2", "--tenant", "acme", "--alias", "auto")
    assert (refused.code, refused.out) == (2, "")
    assert "version 2 of auto was made by a release that saw prompts otherwise" in refused.err
    assert router("rollback", "1", "--tenant", "acme", "--alias", "auto").code == 0
    assert json.loads(router("history", "--json").out)[1]["version"] == "1 (live)"


def test_a_folder_that_is_no_gateways_is_told(run, tmp_path):
    told = run("router", "history", "--state", str(tmp_path / "elsewhere"))
    assert told.code == 2
    assert "no keyring there" in told.err
    assert not (tmp_path / "elsewhere").exists()


def test_nothing_of_the_weights_is_printed(router, learned):
    told = router("history", "--json").out
    assert version(3).digest in told
    assert version(3).gain.hex() not in told
