"""addons/experiment.py and addons/feedback.py in stock mitmdump: arms are assigned, answers can be rated."""

import json
import shutil

from tests.integration.house.house_parts import SHIPPED, ask, ask_chat, until

EXPERIMENTS = {"experiments": {"trial": {"arms": {"control": {}, "treatment": {}}, "unit": "user"}}}
UPSTREAMS = {
    "default": "sample",
    "upstreams": {"sample": {"url": "http://replaced.invalid/v1", "auth": {"style": "none"}}},
}


def test_the_two_stages_run_alone(stock, sample, tmp_path):
    policies = tmp_path / "policies"
    shutil.copytree(SHIPPED, policies, ignore=shutil.ignore_patterns("*_test.yaml"))
    (policies / "experiment.yaml").write_text(json.dumps(EXPERIMENTS))
    upstreams = json.dumps(UPSTREAMS).replace("http://replaced.invalid/v1", sample.url)
    (policies / "upstreams.yaml").write_text(upstreams)
    run = stock(scripts=["feedback", "experiment"], policies=policies)
    run.start()
    answers = {user: ask_chat(run, "hello", user=user) for user in (f"user{number}" for number in range(12))}
    arms = {user: answer.headers["x-dac-experiment"] for user, answer in answers.items()}
    assert set(arms.values()) == {"trial=control", "trial=treatment"}
    assert all(ask_chat(run, "again", user=user).headers["x-dac-experiment"] == arms[user] for user in arms)
    calls = sample.calls
    request_id = answers["user0"].headers["x-request-id"]
    rated = until(lambda: _rated(run, request_id), "the decision")
    assert rated.body == b""
    unknown = ask(f"{run.base_url}/dac/feedback", {"request_id": "req_unknown", "score": 1})
    assert (unknown.status, unknown.code) == (404, "unknown_request")
    assert sample.calls == calls
    assert run.stop() == 0


def _rated(run, request_id):
    answer = ask(f"{run.base_url}/dac/feedback", {"request_id": request_id, "label": "good"})
    return answer if answer.status == 204 else None
