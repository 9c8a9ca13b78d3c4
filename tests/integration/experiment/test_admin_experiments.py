"""The admin API of experiments and the router, metrics of arms, and paths that never leave the gateway."""

import asyncio
import json
import shutil
import subprocess
import sys

import pytest
from gateway_process import Gateway
from tests.integration.house.house_parts import SHIPPED, ask, ask_chat, listens, until

from penstock.routing.features import FEATURES
from penstock.routing.versions import History, Version, Versions
from penstock.routing.weights import NOTHING, Weights
from penstock.stores.keyring import Keyring
from penstock.stores.open import open_ledger

EXPERIMENTS = {
    "trial": {"arms": {"control": {}, "treatment": {"set": {"cache": {"ttl_s": 60}}}}, "metric": "error"},
    "other": {"arms": {"control": {}, "treatment": {}}, "unit": "tenant"},
}
ORDER = "order: [identify, experiment, cache, upstream]\n"  # nobody here takes feedback
WEIGHTS = Weights((1.0, 1.0, 1.0), 0.5, {7: 0.5})
USERS = [f"user{number}" for number in range(12)]


class House:
    """A gateway, its admin port, and the command line beside it."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.token = (gateway.state / "admin.token").read_text().strip()

    def admin(self, path, body=None, *, method=None, token=None):
        shown = self.token if token is None else token
        return ask(
            f"{self.gateway.admin_url}{path}", body, {"authorization": f"Bearer {shown}"}, method=method
        )

    def cli(self, *words):
        places = ("--state", str(self.gateway.state), "--policies", str(self.gateway.policies))
        command = [sys.executable, "-m", "penstock", *words, *places]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout

    def versions(self):
        command = [sys.executable, "-m", "penstock", "router", "history", "--json", "--state"]
        command.append(str(self.gateway.state))
        told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return [each["version"] for each in json.loads(told.stdout)]

    def arms(self, user, text="hello"):
        answer = ask_chat(self.gateway, text, user=user)
        return dict(each.split("=") for each in answer.headers["x-dac-experiment"].split(","))

    def metric(self, name, *labels):
        lines = ask(f"{self.gateway.admin_url}/metrics").body.decode().splitlines()
        found = [
            line for line in lines if line.startswith(f"{name}{{") and all(each in line for each in labels)
        ]
        return sum(float(line.rpartition(" ")[2]) for line in found)


@pytest.fixture(scope="module")
def house(tmp_path_factory, sample):
    folder = tmp_path_factory.mktemp("admin")
    policies = folder / "policies"
    shutil.copytree(SHIPPED, policies, ignore=shutil.ignore_patterns("*_test.yaml"))
    (policies / "experiment.yaml").write_text(json.dumps({"experiments": EXPERIMENTS}))
    (policies / "chain.yaml").write_text(ORDER)
    gateway = Gateway(folder / "state", sample.url, policies).start()
    until(lambda: listens(gateway.admin_port), "the admin process")
    yield House(gateway)
    gateway.stop()


@pytest.fixture(scope="module")
def learned(house):
    """Let acme's alias, which has a slash, have three versions."""

    async def write():
        ledger, records = await open_ledger(f"sqlite:///{house.gateway.state / 'penstock.db'}")
        history = History("acme", "org/auto")
        for number in (1, 2, 3):
            why = f"wins by 0.{number}"
            packed = WEIGHTS.packed(), NOTHING.packed()
            its = Version(
                number, 1_800_000_000.0, 100, why, *packed, None, WEIGHTS.digest(), made_with=FEATURES
            )
            history.add(its)
        await Versions(records, Keyring.in_folder(house.gateway.state)).write(history)
        await records.close()
        await ledger.close()

    asyncio.run(write())


def code(answer):
    assert answer.headers["content-type"].startswith("application/json")
    assert set(answer.json["error"]) == {"message", "type", "param", "code"}
    return answer.status, answer.code


def test_what_arms_did_is_shown_and_the_command_line_says_the_same(house):
    for user in USERS:
        house.arms(user, f"a question of {user}")

    def requests():
        told = house.admin("/experiments/trial").json
        return sum(each["requests"] for each in told["arms"].values()) == len(USERS) and told

    told = until(requests, "the tally")
    assert (told["experiment"], told["state"], told["metric"]) == ("trial", "running", "error")
    everything = house.admin("/experiments")
    assert everything.status == 200
    assert everything.json == json.loads(house.cli("experiment", "status", "--json"))
    assert [each["experiment"] for each in everything.json["experiments"]] == ["trial", "other"]


def test_the_metrics_say_what_was_counted(house):
    seen = sum(each["requests"] for each in house.admin("/experiments/trial").json["arms"].values())
    trial = 'experiment="trial"'
    until(lambda: house.metric("penstock_experiment_requests_total", trial) >= seen > 0, "the metrics")
    told = house.admin("/experiments/trial").json["arms"]
    for arm, counts in told.items():
        labels = (trial, f'arm="{arm}"', 'metric="error"')
        count = counts["metrics"].get("error", {"n": 0})["n"]
        assert house.metric("penstock_experiment_observations_total", *labels) == count
        assert house.metric("penstock_experiment_observed_total", *labels) == 0
    running = until(lambda: house.metric("penstock_experiment_state", trial, 'state="running"'), "the state")
    assert running == 1
    text = ask(f"{house.gateway.admin_url}/metrics").body.decode()
    assert not any(user in text for user in USERS)


def test_promoting_and_stopping_act_on_the_gateway(house):
    promoted = house.admin("/experiments/trial/promote", {"arm": "treatment"})
    assert promoted.status == 200
    assert (promoted.json["state"], promoted.json["everyone_gets"], promoted.json["by"]) == (
        "promoted",
        "treatment",
        "admin api",
    )
    for user in USERS:
        until(lambda user=user: house.arms(user)["trial"] == "treatment", user, 2)
    until(lambda: house.metric("penstock_experiment_state", 'experiment="trial"', 'state="promoted"'), "it")
    stopped = house.admin("/experiments/trial/stop", method="POST")
    assert (stopped.status, stopped.json["state"], stopped.json["everyone_gets"]) == (
        200,
        "stopped",
        "control",
    )
    for user in USERS:
        until(lambda user=user: house.arms(user)["trial"] == "control", user, 2)
    assert "trial: stopped by admin api at 20" in house.cli("experiment", "status", "trial")
    assert house.admin("/experiments/other").json["state"] == "running"
    said = [line for line in list(house.gateway.log) if "admin api promoted" in line.get("message", "")]
    assert len(said) == 1


@pytest.mark.parametrize(
    ("path", "method", "body", "expected"),
    [
        ("/experiments/trail", "GET", None, (404, "experiment_not_found")),
        ("/experiments/trail/stop", "POST", None, (404, "experiment_not_found")),
        ("/experiments/trial/promote", "POST", {"arm": "treatmnet"}, (404, "arm_not_found")),
        ("/experiments/trial/promote", "POST", {}, (400, "invalid_json")),
        ("/experiments/trial/promote", "POST", {"arm": 7}, (400, "invalid_json")),
        ("/experiments/trial/promote", "POST", {"arm": "control", "for": "acme"}, (400, "invalid_json")),
        ("/experiments/trial/promote", "POST", b"\xff", (400, "invalid_json")),
        ("/experiments/trial/stop", "GET", None, (405, "method_not_allowed")),
        ("/experiments/trial/nothing", "GET", None, (404, "not_found")),
        ("/experiments/%ff", "GET", None, (404, "experiment_not_found")),
        ("/router/acme", "GET", None, (404, "not_found")),
        ("/router/acme/org/auto/rollback", "POST", {"version": 9}, (404, "version_not_found")),
        ("/router/acme/none/rollback", "POST", {"version": 0}, (404, "version_not_found")),
        ("/router/acme/org/auto/rollback", "POST", {"version": "1"}, (400, "invalid_json")),
        ("/router/acme/org/auto", "POST", {"version": 1}, (405, "method_not_allowed")),
    ],
)
def test_what_cannot_be_done_is_told(house, learned, path, method, body, expected):
    before = house.admin("/experiments").json
    assert code(house.admin(path, body, method=method)) == expected
    states = [
        [each["state"] for each in told["experiments"]] for told in (before, house.admin("/experiments").json)
    ]
    assert states[0] == states[1]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/experiments"),
        ("GET", "/experiments/trial"),
        ("POST", "/experiments/other/stop"),
        ("POST", "/experiments/other/promote"),
        ("GET", "/experiments/nothing/at/all"),
        ("GET", "/router/acme/org/auto"),
        ("POST", "/router/acme/org/auto/rollback"),
    ],
)
def test_without_the_token_nobody_learns_or_does_anything(house, learned, method, path):
    for token in ("", "x", house.token[:-1]):
        assert code(house.admin(path, method=method, token=token)) == (401, "invalid_admin_token")
    assert house.admin("/experiments/other").json["state"] == "running"


def test_a_new_experiment_is_seen_and_a_bad_file_leaves_the_old_one(house):
    path = house.gateway.policies / "experiment.yaml"
    path.write_text(json.dumps({"experiments": {**EXPERIMENTS, "third": EXPERIMENTS["other"]}}))
    assert house.admin("/experiments/third").json["state"] == "running"
    path.write_text("experiments: 5\n")
    assert house.admin("/experiments/third").status == 200
    path.write_text(json.dumps({"experiments": EXPERIMENTS}))
    assert house.admin("/experiments/third").status == 404


def test_the_history_of_a_scorer_has_no_weights(house, learned):
    told = house.admin("/router/acme/org/auto")
    assert told.status == 200
    assert (told.json["tenant"], told.json["alias"], told.json["live"]) == ("acme", "org/auto", 3)
    assert told.json["versions"][1] == {
        "number": 2,
        "live": False,
        "made": "2027-01-15T08:00:00+00:00",
        "outcomes": 100,
        "keeps": None,
        "digest": WEIGHTS.digest(),
        "outdated": False,
        "why": "wins by 0.2",
    }
    unknown = house.admin("/router/globex/auto").json
    assert unknown == {"tenant": "globex", "alias": "auto", "live": 0, "versions": []}


def test_a_rollback_makes_an_earlier_version_live(house, learned):
    for number in (1, 0, 3):
        told = house.admin("/router/acme/org/auto/rollback", {"version": number})
        assert (told.status, told.json["live"]) == (200, number)
        assert [each["number"] for each in told.json["versions"] if each["live"]] == [number] * bool(number)
    assert [each for each in house.versions() if "live" in each] == ["3 (live)"]


@pytest.mark.parametrize(
    "path", ["/dac/feedback", "/dac/", "/dac/other", "/%64ac/feedback", "/DAC//feedback"]
)
@pytest.mark.parametrize("body", [{"request_id": "req_1", "score": 1}, None], ids=["POST", "GET"])
def test_without_the_feedback_stage_its_path_never_leaves_the_gateway(house, sample, path, body):
    calls = sample.calls
    answer = ask(f"{house.gateway.base_url}{path}", body)
    assert code(answer) == (404, "not_found")
    assert answer.headers["x-request-id"].startswith("req_")
    assert sample.calls == calls


def test_other_unknown_paths_are_still_the_upstreams(house, sample):
    calls = sample.calls
    ask(f"{house.gateway.base_url}/dacs/feedback", {"request_id": "req_1"})
    assert sample.calls == calls + 1
