"""Routing as users meet it: a real gateway, a real upstream, the openai SDK, and the verbs beside it."""

import asyncio
import itertools
import json
import subprocess
import sys

import openai
import pytest
from tests.integration.house.house_parts import (
    SampleThread,
    alive,
    ask,
    ask_chat,
    chat,
    children,
    files_with,
    opened,
    until,
)

from penstock.routing.features import FEATURES, prompt_features
from penstock.routing.feedback import Served
from penstock.routing.outcomes import Learned, Outcome, Outcomes
from penstock.routing.versions import History, Version, Versions
from penstock.routing.weights import NOTHING, Weights
from penstock.stores.keyring import Keyring
from penstock.stores.open import open_ledger

FAULTS = ["fault-hang-3", "fault-500"]
MODEL = {"input_usd_per_million": 1, "output_usd_per_million": 4, "context_tokens": 8000}
STRICT = {
    "type": "json_schema",
    "json_schema": {"name": "s", "schema": {"type": "object", "required": ["verdict"]}},
}


def alias(small="tiny", large="big", **fields):
    return {"candidates": [{"model": small}, {"model": large}], "decide": "small", **fields}


HOLD = {"cascade": {"streams": "hold", "hold_s": 5}}
ROUTING = {
    "aliases": {
        "auto": alias(**HOLD),
        "ruled": alias(rules=[{"header": {"x-tier": "gold"}, "use": "big"}]),
        "scored": alias(decide="scorer", large_share=1.0, least_gain=0.5, stick="none"),
        "fragile": alias(large="fault-500", **HOLD),
        "hanging": alias(small="fault-hang-3", cascade={"streams": "hold", "hold_s": 0.3}),
        "taught": alias(decide="scorer", stick="none"),
    },
    "intents": {
        "code": ["write a function that sorts", "why does this loop never end", "refactor this class please"],
        "maths": ["what is 17 percent of 80", "solve x + 3 = 9", "how many apples are left over"],
    },
    "learn": {"every_s": 1, "least_outcomes": 300},
}
ROUTING["aliases"]["scored"]["unknown"] = "small"


@pytest.fixture(scope="module")
def sample():
    thread = SampleThread()
    yield thread
    thread.stop()


@pytest.fixture(scope="module")
def gateway(start_gateway, sample):
    names = ["tiny", "big", *FAULTS]
    upstreams = {
        "default": "nobody",
        "upstreams": {
            "nobody": {"url": "http://127.0.0.1:9/v1"},
            "good": {"url": sample.url, "auth": {"style": "none"}, "models": {name: name for name in names}},
        },
    }
    models = {"models": dict.fromkeys(names, MODEL)}
    routing = {**ROUTING, "intents": {}}
    return start_gateway(
        "routing", upstreams=json.dumps(upstreams), models=json.dumps(models), routing=json.dumps(routing)
    )


@pytest.fixture
def client(gateway):
    with openai.OpenAI(base_url=gateway.base_url, api_key="sk-test", max_retries=0) as client:
        yield client


def say(text):
    return [{"role": "user", "content": text}]


def asked(sample, count):
    return [body["model"] for body in sample.bodies()[-count:]]


def test_an_alias_is_answered_by_a_model_that_the_client_is_told(client, sample):
    answer = client.chat.completions.with_raw_response.create(model="auto", messages=say("plain"))
    assert answer.headers["x-dac-model"] == "tiny"
    assert answer.parse().choices[0].message.content == "You said: plain"
    assert asked(sample, 1) == ["tiny"]


def test_a_rule_goes_by_a_header(gateway):
    told = [ask_chat(gateway, f"tier {tier}", {"x-tier": tier}, model="ruled") for tier in ("gold", "lead")]
    assert [answer.headers["x-dac-model"] for answer in told] == ["big", "tiny"]


@pytest.mark.parametrize("stream", [False, True])
def test_json_that_is_not_what_was_asked_for_is_the_larges_to_give(client, sample, gateway, stream):
    asking = client.chat.completions.with_raw_response.create(
        model="auto", messages=say(f"strict {stream}"), response_format=STRICT, stream=stream
    )
    assert asking.headers["x-dac-model"] == "big"
    answer = asking.parse()
    if stream:
        chunks = list(answer)
        assert {chunk.model for chunk in chunks} == {"big"}
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    else:
        text = answer.choices[0].message.content
    assert json.loads(text)["echo"] == f"strict {stream}"
    assert asked(sample, 2) == ["tiny", "big"]
    gateway.wait_until(lambda: gateway.exchanges[-1]["decisions"].get("routing") == "escalated", "the line")
    assert gateway.exchanges[-1]["attempts"] == 2


@pytest.mark.parametrize("stream", [False, True])
def test_where_the_large_one_fails_the_small_answer_goes_out_whole(gateway, sample, stream):
    fields = {"model": "fragile", "response_format": STRICT, "stream": stream}
    answer = ask_chat(gateway, f"fragile {stream}", **fields)
    assert (answer.status, answer.headers["x-dac-model"]) == (200, "tiny")
    assert asked(sample, 2) == ["tiny", "fault-500"]
    assert b"fault-500" not in answer.body
    assert b"error" not in answer.body
    if stream:
        assert answer.body.rstrip().endswith(b"data: [DONE]")


def test_a_held_stream_is_byte_for_byte_the_upstreams(gateway, sample):
    fields = {"stream": True, "stream_options": {"include_usage": True}}
    through = ask_chat(gateway, "bytes", model="auto", **fields)
    direct = ask(f"{sample.url}/chat/completions", chat("bytes", model="tiny", **fields))

    def shape(body):
        lines = [line for line in body.split(b"\n\n") if line.startswith(b"data: {")]
        return [{**json.loads(line[6:]), "id": 0, "created": 0} for line in lines]

    assert shape(through.body) == shape(direct.body)
    assert through.body.count(b"[DONE]") == 1


def test_a_stream_that_hangs_is_released_as_it_is_and_let_go_when_the_client_leaves(gateway, sample):
    body = chat("one two three four", model="hanging", stream=True)
    with opened(f"{gateway.base_url}/chat/completions", body, timeout_s=10) as response:
        assert response.status == 200
        first = response.readline()
        assert first.startswith(b"data: {")
    assert asked(sample, 1) == ["fault-hang-3"]


def in_store(gateway, do):
    async def opened_store():
        ledger, records = await open_ledger(f"sqlite:///{gateway.state / 'penstock.db'}")
        try:
            return await do(records, Keyring.in_folder(gateway.state))
        finally:
            await records.close()
            await ledger.close()

    return asyncio.run(opened_store())


def penstock(*words):
    command = [sys.executable, "-m", "penstock", *words]
    told = subprocess.run(command, capture_output=True, text=True, timeout=40, check=False)
    assert told.returncode == 0, told.stderr
    return told.stdout


def test_a_rollback_acts_in_the_running_gateway(gateway):
    numbers = itertools.count()

    def model():
        return ask_chat(gateway, f"scored {next(numbers)}", model="scored").headers["x-dac-model"]

    async def learn(records, keyring):
        gain = Weights((1.0, 1.0, 1.0), 0.9, {})
        history = History("default", "scored")
        packed = gain.packed(), NOTHING.packed()
        history.add(Version(1, 0.0, 1, "made up", *packed, None, gain.digest(), made_with=FEATURES))
        await Versions(records, keyring).write(history)

    assert model() == "tiny"
    in_store(gateway, learn)
    until(lambda: model() == "big", "the version", within_s=3)
    which = ["--tenant", "default", "--alias", "scored", "--state", str(gateway.state)]
    assert penstock("router", "rollback", "0", *which) == "version 0 of scored is live for default\n"
    until(lambda: model() == "tiny", "the rollback", within_s=3)
    penstock("router", "rollback", "1", *which)
    until(lambda: model() == "big", "the way back", within_s=3)


def test_the_gateway_learns_from_what_waits_and_answers_meanwhile(gateway):
    async def send(records, keyring):
        outbox = Outcomes(records, keyring)
        for number in range(600):
            prompt = ("prove theorem {}", "say hello to the guests, number {}")[number % 2].format(number)
            learned = Learned.of(prompt_features(prompt), Served.SMALL, 1.0, None).packed()
            outbox.put(Outcome("default", "taught", learned, float(number % 2), 1.0))
        await outbox.stop()

    def taught():
        assert ask_chat(gateway, "meanwhile", model="auto").status == 200
        words = ["--alias", "taught", "--json", "--state", str(gateway.state)]
        return json.loads(penstock("router", "history", *words))[1:]  # without the prior

    in_store(gateway, send)
    (version,) = until(taught, "a version", within_s=40)
    assert (version["tenant"], version["version"], version["outcomes"]) == ("default", "1 (live)", "600")
    assert version["why"].startswith("wins by +")


def test_explain_says_who_would_answer_and_why(gateway, tmp_path):
    policies = tmp_path / "policies"
    policies.mkdir()
    for file in gateway.policies.iterdir():
        (policies / file.name).write_bytes(file.read_bytes())
    (policies / "routing.yaml").write_text(json.dumps(ROUTING))
    request = tmp_path / "request.json"
    request.write_text(json.dumps({"model": "ruled", "messages": say("solve x + 3 = 9")}))
    words = ["explain", str(request), "--json", "--policies", str(policies)]
    for header, said in (([], "by policy"), (["--header", "x-tier: gold"], "rule 1")):
        told = {each["stage"]: each for each in json.loads(penstock(*words, *header))}
        assert told["routing"]["action"] == ("big" if header else "tiny")
        assert told["routing"]["reason"] == f"intent maths, {said}"


def test_nothing_personal_is_left_in_logs_or_files(gateway):
    marker = "marker-xyzzy-4711"
    for stream in (False, True):
        answer = ask_chat(gateway, f"{marker} how many apples are left?", model="auto", stream=stream)
        assert answer.status == 200
    gateway.wait_until(lambda: gateway.exchanges[-1]["stream"] is True, "the line")
    assert marker not in json.dumps(gateway.log)
    assert not any(marker in line for line in (*gateway.out, *gateway.noise))
    assert [
        found
        for form in (marker, marker.encode().hex())
        for found in files_with(gateway.state, form.encode())
    ] == []


def test_no_process_is_left_when_it_ends(gateway):
    left = children(gateway.pid)
    assert gateway.stop() == 0
    until(lambda: not any(map(alive, left)), "the end of its processes")
