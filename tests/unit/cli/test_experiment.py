"""`penstock experiment` on a real SQLite store, as an operator calls it, without a gateway."""

import asyncio
import json

import pytest

from penstock.experiment.policy import ExperimentPolicy
from penstock.experiment.tally import Cell, Tally
from penstock.experiment.verdicts import Verdict, Verdicts
from penstock.policy.load import load
from penstock.stores.keyring import Keyring
from penstock.stores.open import open_ledger

EXPERIMENTS = """
experiments:
  cheaper-first:
    arms:
      control: {}
      treatment: {set: {cache: {ttl_s: 600, replay: {pace: paced}}}}
    metric: error
    guardrails: {error: {worse_by: 0.5}}
    min_sample: 100
  other-2:
    arms: {control: {}, treatment: {}}
    tenants: [default]
"""


@pytest.fixture
def state(tmp_path):
    (tmp_path / "state").mkdir(mode=0o700)
    Keyring.in_folder(tmp_path / "state")
    return tmp_path / "state"


@pytest.fixture
def experiment(run, policies, state):
    """Call the verb on these policies and this state folder."""
    (policies / "experiment.yaml").write_text(EXPERIMENTS)
    return lambda *words: run("experiment", *words, "--policies", str(policies), "--state", str(state))


def with_records(state, job):
    async def work():
        ledger, records = await open_ledger(f"sqlite:///{state / 'penstock.db'}")
        try:
            return await job(records, Keyring.in_folder(state))
        finally:
            await records.close()
            await ledger.close()

    return asyncio.run(work())


def count(state, policies, failing):
    """Count two hundred requests of each arm, of which so many of the treatment's have failed."""
    folder = policies.parent / "alone"
    folder.mkdir()
    (folder / "experiment.yaml").write_text(EXPERIMENTS)
    its = load(folder, [_Unchecked])[_Unchecked].experiments["cheaper-first"]

    async def job(records, keyring):
        tally = Tally(records, keyring)
        for arm, failed in (("control", 0), ("treatment", failing)):
            counts = tally.of(Cell.of("cheaper-first", its, arm))
            counts.requests, counts.hits, counts.excluded = 210, 7, 3
            for place in range(200):
                counts.add("error", float(place < failed), place % 32)
        await tally.flush()

    with_records(state, job)


class _Unchecked(ExperimentPolicy):
    """The policy without its look at other files."""

    def check(self, policies):
        return ()


def verdicts(state):
    async def job(records, keyring):
        its = Verdicts(records, keyring)
        await its.look()
        return dict(its.known)

    return with_records(state, job)


def test_status_says_that_there_is_too_little_yet(experiment):
    told = experiment("status")
    assert (told.code, told.err) == (0, "")
    assert "cheaper-first: running; decided by error, the control is control" in told.out
    assert "other-2: running" in told.out
    assert "nothing is concluded before 100 observations of each arm" in told.out


def test_status_compares_the_arms(experiment, state, policies):
    count(state, policies, failing=150)
    told = experiment("status", "cheaper-first")
    assert "other-2" not in told.out
    rows = [line.split() for line in told.out.splitlines()]
    assert ["treatment", "210", "7", "3", "error", "200", "0.75"] in rows
    deciding, guardrail = (row for row in rows if row[:2] == ["treatment", "error"])
    assert (deciding[2], deciding[-1]) == ("+0.75", "worse")
    assert guardrail[5:7] == ["0.5", "worse"]


def test_status_as_json(experiment, state, policies):
    count(state, policies, failing=2)
    its = json.loads(experiment("status", "--json").out)["experiments"]
    assert [each["experiment"] for each in its] == ["cheaper-first", "other-2"]
    assert its[0]["arms"]["treatment"]["metrics"]["error"] == {"n": 200.0, "mean": 0.01, "buckets": 32}
    assert its[0]["deciding"][0]["finding"] == "undecided"
    low, high = its[0]["deciding"][0]["interval"]
    assert low < 0.01 < high
    assert its[0]["everyone_gets"] is None


def test_stop_gives_everyone_the_control(experiment, state):
    told = experiment("stop", "other-2")
    assert told.code == 0
    assert "everyone in it gets the arm 'control'" in told.out
    assert "other-3" in told.out
    found = verdicts(state)["other-2"]
    assert (found.state, found.arm, found.by) == ("stopped", "control", "cli")
    assert "other-2: stopped by cli at 20" in experiment("status", "other-2").out


def test_promote_says_what_to_put_into_the_policies(experiment, state, policies):
    told = experiment("promote", "cheaper-first", "treatment")
    assert told.code == 0
    assert verdicts(state)["cheaper-first"].arm == "treatment"
    assert '# policies/cache.yaml\nttl_s: 600\nreplay:\n  pace: "paced"\n' in told.out
    (policies / "cache.yaml").write_text(told.out.partition("# policies/cache.yaml\n")[2])
    assert experiment("status").code == 0  # it is YAML, and a good policy


def test_promoting_an_arm_without_settings_asks_for_nothing(experiment):
    told = experiment("promote", "other-2", "treatment")
    assert "policies/" not in told.out
    assert "everyone of these tenants" in told.out


def test_what_a_guardrail_said_is_shown(experiment, state):
    async def job(records, keyring):
        stopped = Verdict("stopped", "control", "guardrail", 1.8e9, "error 1 beside 0")
        await Verdicts(records, keyring).put("cheaper-first", stopped)

    with_records(state, job)
    assert "everyone in it gets control: error 1 beside 0" in experiment("status", "cheaper-first").out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "say what to do: status, stop or promote"),
        (("end",), "say what to do"),
        (("stop",), "stop takes NAME"),
        (("stop", "a", "b"), "stop takes NAME"),
        (("promote", "cheaper-first"), "promote takes NAME ARM"),
        (("stop", "cheaper-first", "--json"), "takes no --json"),
        (("stop", "cheaper-frist"), "no experiment 'cheaper-frist'; did you mean 'cheaper-first'?"),
        (("promote", "cheaper-first", "treatmnet"), "no arm 'treatmnet'; did you mean 'treatment'?"),
    ],
)
def test_what_is_wrong_is_said(experiment, words, message):
    told = experiment(*words)
    assert (told.code, told.out) == (2, "")
    assert message in told.err


def test_without_a_state_folder_nothing_is_made(run, policies, tmp_path):
    told = run("experiment", "status", "--policies", str(policies), "--state", str(tmp_path / "none"))
    assert (told.code, told.out) == (2, "")
    assert not (tmp_path / "none").exists()


def test_no_experiments_is_no_error(run, policies, state):
    told = run("experiment", "status", "--policies", str(policies), "--state", str(state))
    assert (told.code, told.out) == (0, "experiment.yaml has no experiments\n")
