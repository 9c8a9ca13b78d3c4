"""addons/routing.py alone in stock mitmdump: an alias is answered by one of its models."""

import json
import shutil

from tests.integration.house.house_parts import SHIPPED, ask_chat

MODEL = {"input_usd_per_million": 1, "output_usd_per_million": 4, "context_tokens": 8000}
ROUTING = {
    "aliases": {
        "auto": {
            "candidates": [{"model": "tiny"}, {"model": "big"}],
            "decide": "small",
            "rules": [{"header": {"x-tier": "gold"}, "use": "big"}],
            "cascade": {"streams": "hold"},
        }
    }
}
STRICT = {"type": "json_schema", "json_schema": {"schema": {"type": "object", "required": ["verdict"]}}}


def test_the_routing_stage_runs_alone(stock, sample, tmp_path):
    policies = tmp_path / "policies"
    shutil.copytree(SHIPPED, policies, ignore=shutil.ignore_patterns("*_test.yaml"))
    (policies / "models.yaml").write_text(json.dumps({"models": dict.fromkeys(["tiny", "big"], MODEL)}))
    (policies / "routing.yaml").write_text(json.dumps(ROUTING))
    run = stock(scripts=["routing"], policies=policies)
    run.start()

    def model(text, headers=None, **fields):
        answer = ask_chat(run, text, headers, model="auto", **fields)
        assert answer.status == 200
        return answer.headers["x-dac-model"]

    assert model("plain") == "tiny"
    assert model("gold", {"x-tier": "gold"}) == "big"
    for stream in (False, True):
        assert model("strict", response_format=STRICT, stream=stream) == "big"
    assert ask_chat(run, "by its own name", model="tiny").headers["x-dac-model"] == "tiny"
    assert [body["model"] for body in sample.bodies()] == ["tiny", "big", *["tiny", "big"] * 2, "tiny"]
    assert run.stop() == 0
