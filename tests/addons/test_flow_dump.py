"""`mitmdump -w`: the file holds what a reviewer may see, and nothing of an ephemeral request."""

import json
import warnings

import pytest
from tests.integration.house import marked_requests as marked
from tests.integration.house.echo_upstream import EchoUpstream
from tests.integration.house.house_parts import SHIPPED, ask, ask_chat, files_with, until

with warnings.catch_warnings():  # what mitmproxy imports still uses old names of pyparsing
    warnings.simplefilter("ignore", DeprecationWarning)
    from mitmproxy.io import FlowReader

SECRET, SHOWN = "3PH3M3R4L", "0RD1N4RY"
POLICIES = "cache chain ephemeral identify".split()


@pytest.fixture(scope="module")
def dump(stock, sample, tmp_path_factory):
    """A mitmdump that wrote down ephemeral and ordinary requests, and then ended."""
    echo = EchoUpstream()
    policies = tmp_path_factory.mktemp("policies")
    for name in POLICIES:
        (policies / f"{name}.yaml").write_bytes((SHIPPED / f"{name}.yaml").read_bytes())
    (policies / "upstreams.yaml").write_text(marked.upstreams(sample, echo.url, SECRET))
    file = policies / "flows.mitm"
    run = stock(policies=policies, options=["-w", str(file), "--set", "flow_detail=4"])
    run.env["PENSTOCK_LOG_LEVEL"] = "DEBUG"
    run.start()
    sent = marked.send_all(run.base_url, SECRET, **{"x-DAC-store": "NONE"})
    marked.send_and_leave(run.base_url, SECRET, sample, **{"X-DAC-Store": "none"})
    marked.send_all(run.base_url, SHOWN)
    ask_chat(run, SHOWN, model="streamed", stream=True)
    ask_chat(run, "by policy")
    (policies / "ephemeral.yaml").write_text("tenants: [default]\n")
    until(lambda: "x-dac-store" in ask_chat(run, "which set?").headers, "the ephemeral tenant")
    body = marked.chat_body(SECRET, SECRET)
    ask(f"{run.base_url}/chat/completions?q={SECRET}", body, marked.headers(SECRET))
    assert run.stop() == 0
    echo.stop()
    assert len(sent) > 40
    return run, file


@pytest.fixture(scope="module")
def flows(dump):
    with dump[1].open("rb") as file:
        return list(FlowReader(file).stream())


def test_nothing_of_an_ephemeral_request_is_in_the_dump(dump):
    run, file = dump
    assert SECRET.encode() not in file.read_bytes()
    assert files_with(run.state, SECRET.encode()) == []


def test_nothing_of_an_ephemeral_request_is_printed(dump):
    run, _ = dump
    assert any("POST" in line for line in run.told), "mitmdump printed no flow at all"
    assert not [line for line in run.told if SECRET in line]


def test_an_ordinary_request_is_in_the_dump(flows):
    seen = [flow for flow in flows if SHOWN.encode() in (flow.request.raw_content or b"")]
    assert seen, "the positive control failed"
    streamed = next(flow for flow in seen if json.loads(flow.request.content)["model"] == "streamed")
    assert json.loads(streamed.request.content)["stream_options"] == {"include_usage": True}
    assert streamed.response.raw_content.startswith(b"data: {")
    assert streamed.response.raw_content.rstrip().endswith(b"data: [DONE]")
    trace = streamed.metadata["penstock"]
    assert trace["id"].startswith("req_")
    assert [decision[:2] for decision in trace["decisions"]] == [
        ["identify", "open"],
        ["ephemeral", "stored"],
        ["feedback", "pass"],
        ["experiment", "pass"],
        ["cache", "miss"],
        ["budget", "pass"],
        ["routing", "pass"],
        ["upstream", "call"],
    ]
    decided = ["identify: open", "ephemeral: stored", "feedback: pass", "experiment: pass", "cache: miss"]
    decided += ["budget: pass", "routing: pass", "upstream: call"]
    assert streamed.comment == " · ".join(decided)


def test_an_ephemeral_flow_has_a_trace_without_content(flows):
    hidden = [flow for flow in flows if flow.request.path == "/[ephemeral]"]
    assert len(hidden) > 40
    assert not any(flow.request.raw_content for flow in hidden)
    assert not any(flow.response and flow.response.raw_content for flow in hidden)
    traced = [flow.metadata["penstock"]["decisions"] for flow in hidden if "penstock" in flow.metadata]
    assert all(decision[2] == "" for decisions in traced for decision in decisions)
    assert any(decisions for decisions in traced)


def test_the_clients_key_is_nowhere(dump):
    run, file = dump
    for key in (marked.KEY, "sk-test"):
        assert key.encode() not in file.read_bytes()
        assert not [line for line in run.told if key in line]
        assert files_with(run.state, key.encode()) == []
    assert b"[removed]" in file.read_bytes()
