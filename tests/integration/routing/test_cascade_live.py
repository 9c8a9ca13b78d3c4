"""The cascade through a real gateway: what a gate reads beside the answer, and streams that break unseen."""

import itertools
import json
import re
import subprocess
import sys

import openai
import pytest
from tests.integration.house.house_parts import SampleThread, ask, ask_chat, chat, until

INCLUDED = "message.output_text.logprobs"
BROKEN = ["cut-0", "cut-3", "reset-3", "end-3", "error-0", "error-3", "error-event-3", "malformed-3"]
SHY = "fault-no-logprobs"
MODELS = ["tiny", "big", "nano", SHY, "fault-500", *(f"fault-{name}" for name in BROKEN)]
PRICE = {"input_usd_per_million": 1, "output_usd_per_million": 4, "context_tokens": 8000}
NUMBERS = itertools.count()


def alias(small="tiny", large="big", **cascade):
    candidates = [{"model": small}, {"model": large}]
    return {
        "candidates": candidates,
        "decide": "small",
        "cascade": {"streams": "hold", "hold_s": 5, **cascade},
    }


READS = {"gates": ["truncated", "empty", "logprobs"]}
ALIASES = {
    "plain": alias(),
    "sure": alias(**READS, least_mean_logprob=-1, least_margin=1),
    "unsure": alias(**READS, least_margin=2),  # the sample's runner-up stands 1.5 below
    "shy": alias(SHY, **READS, least_margin=2),
    "pre": {**alias(**READS, least_margin=2), "cascade": {**READS, "streams": "pre"}},
    "hopeless": alias("fault-cut-3", "fault-500"),
    **{name: alias(f"fault-{name}") for name in BROKEN},
}


@pytest.fixture(scope="module")
def sample():
    thread = SampleThread()
    yield thread
    thread.stop()


@pytest.fixture(scope="module")
def gateway(start_gateway, sample):
    good = {"url": sample.url, "auth": {"style": "none"}, "models": {name: name for name in MODELS}}
    nobody = {"url": "http://127.0.0.1:9/v1"}
    return start_gateway(
        "cascade",
        upstreams=json.dumps({"default": "nobody", "upstreams": {"nobody": nobody, "good": good}}),
        models=json.dumps({"models": dict.fromkeys(MODELS, PRICE)}),
        routing=json.dumps({"aliases": ALIASES}),
    )


@pytest.fixture
def client(gateway):
    with openai.OpenAI(base_url=gateway.base_url, api_key="sk-test", max_retries=0) as client:
        yield client


def say(text):
    return [{"role": "user", "content": text}]


def last(sample, count):
    return sample.bodies()[-count:]


def without_ids(body):
    """Blank the numbers that the sample counts up, and the time."""
    return re.sub(rb'(chatcmpl-|cmpl-|resp_|msg_|"created":|_at":)\d+', rb"\1", body)


def raw(client, endpoint, model, text, **fields):
    """Give the bytes that the SDK gets."""
    ask_by = {
        "chat": (client.chat.completions, {"messages": say(text), "n": 2}),
        "completions": (client.completions, {"prompt": text}),
        "responses": (client.responses, {"input": text}),
    }
    api, body = ask_by[endpoint]
    with api.with_streaming_response.create(model=model, **body, **fields) as response:
        assert response.headers["x-dac-model"] == "tiny"
        return response.read()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("endpoint", ["chat", "completions", "responses"])
def test_a_client_gets_the_same_bytes_with_the_gate_and_without(client, sample, endpoint, stream):
    text = f'same {endpoint} {stream}: "ünïcode" \\ and\nlines'
    plain, gated = (raw(client, endpoint, model, text, stream=stream) for model in ("plain", "sure"))
    first, second = last(sample, 2)
    assert "top_logprobs" not in first
    assert "logprobs" not in first
    assert (INCLUDED in second.get("include", ())) or second["logprobs"] == (
        2 if endpoint == "completions" else True
    )
    assert without_ids(gated) == without_ids(plain)
    assert b'"logprob"' not in gated


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_the_sdk_reads_what_is_left(client, stream):
    answer = client.chat.completions.create(model="sure", messages=say(f"read {stream}"), stream=stream)
    if not stream:
        assert (answer.choices[0].message.content, answer.choices[0].logprobs) == (
            "You said: read False",
            None,
        )
        return
    chunks = list(answer)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == "You said: read True"
    assert all(chunk.choices[0].logprobs is None for chunk in chunks)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_client_that_asks_itself_gets_what_it_asked_for(client, stream):
    answer = client.chat.completions.create(
        model="sure", messages=say(f"mine {stream}"), stream=stream, logprobs=True, top_logprobs=3
    )
    chunks = list(answer) if stream else [answer]
    told = [each for chunk in chunks if (found := chunk.choices[0].logprobs) for each in found.content]
    assert told
    assert all(len(each.top_logprobs) == 3 for each in told)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_narrow_margin_escalates_and_the_large_model_is_asked_as_the_client_asked(gateway, sample, stream):
    answer = ask_chat(gateway, f"narrow {stream}", model="unsure", stream=stream)
    assert (answer.status, answer.headers["x-dac-model"]) == (200, "big")
    small, large = last(sample, 2)
    assert (small["model"], small["top_logprobs"], large["model"]) == ("tiny", 2, "big")
    asked = {**chat(f"narrow {stream}", model="big"), "stream": stream}
    assert {name: value for name, value in large.items() if name != "stream_options"} == asked
    assert b'"logprob"' not in answer.body


def test_the_cache_keeps_the_answer_that_the_client_got(gateway, sample):
    calls = sample.calls
    first, again = (ask_chat(gateway, "kept clean", model="sure") for _ in range(2))
    assert (first.cache, again.cache, sample.calls - calls) == ("miss", "hit", 1)
    assert first.body == again.body
    streamed = ask_chat(gateway, "kept clean", model="sure", stream=True)
    assert streamed.cache == "hit"
    for body in (again.body, streamed.body):
        assert b'"logprobs":null' in body
        assert b'"logprob"' not in body


def test_a_model_that_refuses_the_parameter_is_asked_without_and_not_asked_again(gateway, sample):
    first, *others = (
        ask_chat(gateway, f"shy {next(NUMBERS)}", model="shy", stream=stream)
        for stream in (False, True, False)
    )
    assert [answer.status for answer in (first, *others)] == [200] * 3
    assert [answer.headers["x-dac-model"] for answer in (first, *others)] == [SHY] * 3
    assert ["logprobs" in body for body in last(sample, 4)] == [True, False, False, False]
    gateway.wait_until(lambda: gateway.exchanges[-1]["decisions"].get("routing") == "kept", "the line")


def test_an_answer_that_nobody_judges_is_not_asked_for_more(gateway, sample):
    assert ask_chat(gateway, "pre", model="pre", stream=True).status == 200
    assert "logprobs" not in last(sample, 1)[0]


@pytest.mark.parametrize("fault", BROKEN)
def test_a_held_stream_that_breaks_is_the_larges_to_give(gateway, sample, client, fault):
    text = f"broken {fault}"
    answer = ask_chat(gateway, text, model=fault, stream=True)
    direct = ask(f"{sample.url}/chat/completions", chat(text, model="big", stream=True))
    assert (answer.status, answer.headers["x-dac-model"]) == (200, "big")
    assert without_ids(answer.body) == without_ids(direct.body)
    chunks = list(client.chat.completions.create(model=fault, messages=say(f"{text} again"), stream=True))
    assert chunks[-1].choices[0].finish_reason == "stop"
    gateway.wait_until(lambda: gateway.exchanges[-1]["decisions"].get("routing") == "escalated", "the line")


def test_where_the_large_one_fails_too_the_client_gets_what_came_and_one_error(gateway, sample):
    answer = ask_chat(gateway, "hopeless", model="hopeless", stream=True)
    assert [body["model"] for body in last(sample, 2)] == ["fault-cut-3", "fault-500"]
    assert answer.body.count(b'data: {"error"') == 1
    assert b"upstream_stream_truncated" in answer.body
    assert b"[DONE]" not in answer.body


@pytest.fixture(scope="module")
def poor(start_gateway, sample):
    """A gateway with a budget for the small model only, which has no tools."""
    good = {"url": sample.url, "auth": {"style": "none"}, "models": {"tiny": "tiny", "big": "big"}}
    nobody = {"url": "http://127.0.0.1:9/v1", "auth": {"style": "none"}}
    price = {**PRICE, "max_output_tokens": 200}
    dear = {**price, "input_usd_per_million": 900, "output_usd_per_million": 900}
    limits = [{"unit": "usd", "window": "total", "limit": 0.05}]
    return start_gateway(
        "cascade-poor",
        upstreams=json.dumps({"default": "nobody", "upstreams": {"nobody": nobody, "good": good}}),
        models=json.dumps({"models": {"tiny": {**price, "abilities": []}, "big": dear}}),
        routing=json.dumps({"aliases": {"auto": {**alias(), "decide": "large"}}}),
        tenants=json.dumps({"tenants": {"acme": {"limits": limits}}}),
        budget=json.dumps({"hard_stop": 403}),
    )


def test_without_room_the_small_model_answers_what_it_can_and_the_budget_refuses_what_it_cannot(poor, sample):
    where = ["--state", str(poor.state), "--policies", str(poor.policies)]
    command = [sys.executable, "-m", "penstock", "keys", "create", "--tenant", "acme", *where]
    made = subprocess.run(command, capture_output=True, text=True, timeout=40, check=True)
    key = {"authorization": f"Bearer {made.stdout.strip()}"}

    def asked():
        answer = ask_chat(poor, "plain enough", key, model="auto")
        return None if answer.status == 401 else answer  # the gateway has not seen the new key yet

    answer = until(asked, "the key")
    assert (answer.status, answer.headers["x-dac-model"]) == (200, "tiny")
    calls = sample.calls
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    for stream in (False, True):
        refused = ask_chat(poor, "call it", key, model="auto", tools=tools, stream=stream)
        assert (refused.status, refused.code) == (403, "insufficient_quota")
        assert refused.headers["x-dac-budget-remaining"]
    assert sample.calls == calls
    assert ask_chat(poor, "still plain", key, model="auto").status == 200  # the refused one holds nothing
