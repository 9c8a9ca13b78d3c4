"""The log: one line of JSON per exchange, and nothing that a client or an upstream wrote."""

import json

import pytest
from tests.integration.house import marked_requests as marked
from tests.integration.house.echo_upstream import EchoUpstream
from tests.integration.house.house_parts import ask, ask_chat, until

MARKER = "L0GM4RK"


@pytest.fixture(scope="module")
def echo():
    server = EchoUpstream()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def gateway(new_gateway, sample, echo):
    files = {"upstreams": marked.upstreams(sample, echo.url, MARKER)}
    return new_gateway(files=files, env={"PENSTOCK_LOG_LEVEL": "DEBUG"}, upstream=sample.url)


def next_line(gateway, send):
    """Send, and give the log line of that exchange and the answer."""
    before = len(gateway.exchanges)
    answer = send()
    until(lambda: len(gateway.exchanges) > before, "the log line")
    return gateway.exchanges[before], answer


def test_a_line_tells_what_was_decided_and_how_long_it_took(gateway):
    line, answer = next_line(gateway, lambda: ask_chat(gateway, "one"))
    assert answer.headers["x-request-id"].startswith("req_")
    assert line["id"].startswith("req_")
    assert line["level"] == "info"
    assert line["time"].endswith("Z")
    assert (line["tenant"], line["endpoint"], line["status"]) == ("default", "chat.completions", 200)
    assert (line["upstream"], line["attempts"], line["stream"]) == ("good", 1, False)
    decided = {"identify": "open", "ephemeral": "stored", "cache": "miss", "budget": "pass"}
    decided |= {"feedback": "pass", "experiment": "pass", "routing": "pass", "upstream": "call"}
    assert line["decisions"] == decided
    assert line["stage_ms"].keys() == decided.keys()
    assert 0 < line["first_byte_ms"] <= line["ms"]
    assert line["input_tokens"] > 0
    assert line["output_tokens"] > 0
    assert "error" not in line


def test_a_hit_and_a_stream_have_theirs(gateway):
    next_line(gateway, lambda: ask_chat(gateway, "two"))
    line, _ = next_line(gateway, lambda: ask_chat(gateway, "two", stream=True))
    assert line["decisions"]["cache"] == "hit"
    assert line["attempts"] == 0
    assert (line["stream"], line["outcome"]) == (True, "complete")


def test_an_error_has_its_code(gateway):
    line, answer = next_line(gateway, lambda: ask_chat(gateway, "x", model="fault-close"))
    assert (line["status"], line["error"]) == (502, "upstream_closed")
    assert answer.code == "upstream_closed"
    assert line["id"] == answer.headers["x-request-id"]


def test_no_word_of_a_request_or_an_answer_is_ever_logged(gateway, sample):
    """Ordinary requests, at DEBUG: good, wrong JSON, errors whose bodies quote the request, cut streams."""
    before = len(gateway.exchanges)
    answers = marked.send_all(gateway.base_url, MARKER)
    count = len(answers) + marked.send_and_leave(gateway.base_url, MARKER, sample)
    until(lambda: len(gateway.exchanges) == before + count, "a line for every exchange")
    lines = gateway.exchanges[before:]
    assert len({line["id"] for line in lines}) == count
    assert {line["status"] for line in lines} >= {200, 400, 404, 500, 502}
    assert {"invalid_json", "client_left", "upstream_stream_truncated"} <= {
        line.get("error") for line in lines
    }
    quoted = [answer for answer in answers if MARKER.encode() in answer.body]
    assert quoted, "no answer quoted the request: this shows nothing"
    written = json.dumps(gateway.log) + "\n".join([*gateway.noise, *gateway.out])
    assert MARKER not in written
    assert marked.KEY not in written
    assert gateway.noise == [], "something is written that is no JSON line"


@pytest.mark.parametrize("body", [b'{"model": "L0GM4RK', b"[1, 2]", b'{"model": 1e999}', b"\xff\xfe", b""])
def test_wrong_json_is_told_by_its_position_alone(gateway, body):
    line, answer = next_line(gateway, lambda: ask(f"{gateway.base_url}/chat/completions", body))
    assert (answer.status, answer.code, line["error"]) == (400, "invalid_json", "invalid_json")
    assert MARKER not in answer.body.decode()
