"""The leak proof: canaries in every field and on every path, and then nowhere but at their own client."""

import http.client
import json
from contextlib import closing

import pytest
from tests.integration.house.house_parts import ask, ask_chat, until
from tests.integration.house.stock_mitmproxy import Stock
from tests.integration.redaction import canary_requests as canary
from tests.integration.redaction.canaries import ALL, CANARIES, forms, leaks, searched
from tests.integration.redaction.sinks import UPSTREAM, kept_by, sinks

from penstock.openai.sse import Parser

KINDS = {"kept": {}, "ephemeral": {"X-DAC-Store": "none"}}


def send_all(base_url, sample, gateway=None):
    """Send everything, ordinary and ephemeral; give the answers by what becomes of them."""
    given, gone = {}, 0
    for kind, told in KINDS.items():
        given[f"{kind}: good"] = canary.answered(base_url, **told)
        given[f"{kind}: failed"] = canary.failing(base_url, **told)
        given[f"{kind}: refused"] = canary.refused(base_url, **told)
        gone += canary.left(base_url, sample, **told)
    given["again"] = canary.answered(base_url)
    if gateway is not None:
        ended = gone + sum(map(len, given.values()))
        until(lambda: len(gateway.exchanges) >= ended, "the log line of every exchange", within_s=30)
    return given


@pytest.fixture(scope="module")
def answers(proof_gateway, proof_sample):
    proof_sample.running.reset()
    return send_all(proof_gateway.base_url, proof_sample, proof_gateway)


def told(answer):
    """Give what the model said, of either API, plain or streamed: its words or its call's arguments."""
    if answer.headers["content-type"].startswith("text/event-stream"):
        events = [event.json for event in Parser().feed(answer.body) if isinstance(event.json, dict)]
        return "".join(map(delta_of, events))
    if "choices" in answer.json:
        message = answer.json["choices"][0]["message"]
        return message["content"] or message["tool_calls"][0]["function"]["arguments"]
    item = answer.json["output"][0]
    return item["arguments"] if item["type"] == "function_call" else item["content"][0]["text"]


def delta_of(event):
    if event.get("type", "").endswith((".output_text.delta", ".function_call_arguments.delta")):
        return event["delta"]
    deltas = [choice["delta"] for choice in event.get("choices", ())]
    calls = [call["function"].get("arguments", "") for d in deltas for call in d.get("tool_calls") or ()]
    return "".join([*(d.get("content") or "" for d in deltas), *calls])


def test_every_path_was_taken(answers):
    for kind in KINDS:
        assert {answer.status for answer in answers[f"{kind}: good"]} == {200}
        assert {answer.status for answer in answers[f"{kind}: failed"]} >= {200, 400, 429, 500, 502}
        refused = {(answer.status, answer.code) for answer in answers[f"{kind}: refused"]}
        assert refused == {(400, "invalid_json"), (400, "redaction_blocked"), (413, "request_too_large")}
    assert [answer.cache for answer in answers["again"][:4]] == ["hit"] * 4  # calls of tools are not kept


@pytest.mark.parametrize("kind", ["kept: good", "ephemeral: good", "again"])
def test_the_client_gets_its_own_values_back(answers, kind):
    for answer in answers[kind]:
        assert ALL in told(answer)
        assert b"[EMAIL_" not in answer.body


@pytest.mark.parametrize("kind", KINDS)
def test_a_refusal_holds_no_value(answers, kind):
    refused = {str(at): answer.body for at, answer in enumerate(answers[f"{kind}: refused"])}
    assert leaks(refused) == []


def test_nothing_is_found_anywhere(request, answers, proof_gateway, proof_sample):
    assert answers
    read = sinks(proof_gateway, proof_sample)
    if proof_gateway.options:
        read |= kept_by(request.getfixturevalue("proof_redis"))
        assert len(read["Redis"]) > 1000
    else:
        assert {"penstock.db", "penstock.db-wal"} <= read.keys()
    assert b'"EMAIL"' in read["the export as jsonl"]
    assert b"EMAIL" in read["the export as csv"]
    assert b"penstock_requests_total" in read["the metrics"]
    assert b"redaction_blocked" in read["stderr"]
    assert read[UPSTREAM].count(b"[CARD_") > 100
    assert leaks(read) == []


def test_every_upstream_request_has_the_same_placeholders(answers, proof_sample):
    assert answers
    seen = {
        request.json["messages"][1]["content"]
        for request in list(proof_sample.running.requests)
        if request.path.endswith("/chat/completions")
    }
    assert len(seen) == 1


# Endpoints that nobody can read


@pytest.mark.parametrize("path", ["/messages", "/files", "/audio/transcriptions", "/realtime", "/other"])
def test_an_endpoint_that_cant_be_read_is_refused(proof_gateway, proof_sample, path):
    calls = proof_sample.calls
    answer = ask(f"{proof_gateway.base_url}{path}", {"model": "m", "content": ALL})
    assert (answer.status, answer.code) == (403, "redaction_unread")
    assert "redaction.yaml" in answer.json["error"]["message"]
    assert "'unread'" in answer.json["error"]["message"]
    assert proof_sample.calls == calls


def test_a_websocket_is_refused(proof_gateway, proof_sample):
    calls = proof_sample.calls
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    headers["Sec-WebSocket-Key"] = "dGhlIHNhbXBsZSBub25jZQ=="
    with closing(http.client.HTTPConnection("127.0.0.1", proof_gateway.port, timeout=20)) as client:
        client.request("GET", "/v1/realtime?model=m", headers=headers)
        response = client.getresponse()
        assert response.status == 403
        assert json.loads(response.read())["error"]["code"] == "redaction_unread"
    assert proof_sample.calls == calls


# What is not in the body


def test_a_query_is_read(proof_gateway, proof_sample):
    proof_sample.running.reset()
    ask(f"{proof_gateway.base_url}/chat/completions?who={CANARIES['EMAIL']}", {"model": "m", "messages": []})
    assert proof_sample.running.requests == []  # refused: nobody could put the value back


def test_headers_are_read(proof_gateway, proof_sample):
    proof_sample.running.reset()
    told = {"X-Account": CANARIES["IBAN"], "OpenAI-Organization": CANARIES["SECRET"]}
    told |= {"Accept-Language": CANARIES["EMAIL"], "Idempotency-Key": CANARIES["CREDIT_CARD"]}
    ask_chat(proof_gateway, "hello", {**told, "X-DAC-Cache": "bypass"})
    assert leaks({UPSTREAM: repr(proof_sample.running.requests[0].headers).encode()}) == []


# A flow dump


def test_a_flow_dump_holds_nothing(tmp_path, proof_policies, proof_sample):
    dump = tmp_path / "flows.mitm"
    options = ["-w", str(dump), "--set", "flow_detail=4"]
    run = Stock(tmp_path, proof_sample.url, options=options, policies=proof_policies())
    run.env["PENSTOCK_LOG_LEVEL"] = "DEBUG"
    run.start()
    try:
        given = send_all(run.base_url, proof_sample)
    finally:
        run.stop()
    assert all(ALL in told(answer) for answer in given["kept: good"])
    read = {"the dump": dump.read_bytes(), "printed": "\n".join(run.told).encode()}
    assert read["the dump"].count(b"[CARD_") > 10
    assert b"POST" in read["printed"]
    assert leaks(read) == []


# The search itself


@pytest.mark.parametrize("type", searched())
def test_the_search_finds_every_form_of_every_canary(type):
    for form, needle in forms(searched()[type]):
        assert f"{type} as {form} in sink" in leaks({"sink": b"before" + needle + b"after"})
