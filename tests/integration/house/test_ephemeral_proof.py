"""`X-DAC-Store: none` leaves no trace: a marker in every field, and then nowhere to be found."""

import json
import sqlite3
from contextlib import closing

import pytest
from tests.integration.house import marked_requests as marked
from tests.integration.house.echo_upstream import EchoUpstream
from tests.integration.house.house_parts import ask, ask_chat, files_with, until

MARKER = "M4RK3Rz"


@pytest.fixture(scope="module")
def echo():
    server = EchoUpstream()
    yield server
    server.stop()


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def gateway(request, new_gateway, sample, echo):
    """A gateway at DEBUG on each store; `entries` counts what the store holds."""
    options = []
    if request.param == "redis":
        options = ["--store", request.getfixturevalue("redis").url]
    files = {"upstreams": marked.upstreams(sample, echo.url, MARKER)}
    return new_gateway(files=files, options=options, env={"PENSTOCK_LOG_LEVEL": "DEBUG"})


@pytest.fixture
def entries(request, gateway):
    """Count the entries of the gateway's own store."""

    def count():
        if gateway.options:
            return sum(":e:" in key for key in request.getfixturevalue("redis").all_keys())
        with closing(sqlite3.connect(gateway.state / "penstock.db")) as database:
            return database.execute("SELECT count(*) FROM entries").fetchone()[0]

    return count


def traces(gateway, marker, redis=None):
    """Say where a marker can be found in all that a gateway leaves behind."""
    found = files_with(gateway.state, marker.encode())
    written = {
        "log": json.dumps(gateway.log),
        "stderr": "\n".join(gateway.noise),
        "stdout": "\n".join(gateway.out),
        "metrics": ask(f"{gateway.admin_url}/metrics").body.decode(),
    }
    found += [place for place, text in written.items() if marker in text]
    if redis is not None:
        redis.call("SAVE")
        found += files_with(redis.folder, marker.encode())
        found += [
            key for key in redis.all_keys() if marker in key or marker.encode() in redis.call("DUMP", key)
        ]
    return found


def test_nothing_of_an_ephemeral_request_stays(request, gateway, entries, sample):
    redis = request.getfixturevalue("redis") if gateway.options else None
    before, ended = entries(), len(gateway.exchanges)
    sample.running.reset()
    store = {"X-DAC-Store": "NoNe"}
    answers = marked.send_all(gateway.base_url, MARKER, **store)
    calls = len(answers) + marked.send_and_leave(gateway.base_url, MARKER, sample, **store)
    until(lambda: len(gateway.exchanges) == ended + calls, "the log line of every exchange")
    assert {answer.headers["x-dac-store"] for answer in answers[:4]} == {"none"}
    assert {answer.status for answer in answers} >= {200, 400, 404, 500, 502}
    assert all(MARKER.encode() in seen.body for seen in sample.running.requests), "the upstream got no marker"
    assert traces(gateway, MARKER, redis) == []
    assert traces(gateway, marked.KEY, redis) == []
    assert entries() == before
    of_them = [line for line in gateway.exchanges[ended:] if line.get("error") != "invalid_json"]
    assert len(of_them) == calls - 1
    assert all(line["ephemeral"] and "decisions" not in line for line in of_them)


def test_an_ordinary_request_is_kept_sealed(request, gateway, entries):
    before = entries()
    path, body = next(marked.bodies(MARKER, ("good",)))
    first = ask(f"{gateway.base_url}{path}", body, marked.headers(MARKER))
    until(lambda: entries() == before + 1, "the entry of the ordinary request")
    again = ask(f"{gateway.base_url}{path}", body, marked.headers(MARKER))
    assert (first.cache, again.cache) == ("miss", "hit")
    assert again.body == first.body
    assert "x-dac-store" not in first.headers
    redis = request.getfixturevalue("redis") if gateway.options else None
    # What it is, is sealed; only the model's name, which the upstream took, is a label of the metrics.
    stayed = traces(gateway, MARKER, redis)
    assert stayed
    assert all("metrics" in place for place in stayed)
    assert traces(gateway, marked.KEY, redis) == []


def test_an_ephemeral_request_is_never_answered_from_the_cache(gateway):
    for _ in range(2):
        ask_chat(gateway, "kept")
    answer = ask_chat(gateway, "kept", {"X-DAC-Store": "none"})
    assert answer.cache == "bypass"


@pytest.mark.parametrize("word", ["", "some", "all", "none, some", "nonetheless", "None of it"])
def test_another_word_is_refused(gateway, word, sample):
    calls = sample.calls
    answer = ask_chat(gateway, "secret", {"X-DAC-Store": word})
    assert answer.status == 400
    assert answer.code == "invalid_store"
    assert "'none'" in answer.json["error"]["message"]
    assert answer.json["error"]["type"] == "invalid_request_error"
    assert sample.calls == calls


def test_the_upstream_is_told_not_to_store(gateway, sample):
    sample.running.reset()
    for path in ("/chat/completions", "/responses"):
        body = {"model": "m", "store": True, "input": "x", "messages": [{"role": "user", "content": "x"}]}
        ask(f"{gateway.base_url}{path}", body, {"X-DAC-Store": " None "})
    ask(f"{gateway.base_url}/embeddings", {"model": "m", "input": "x"}, {"X-DAC-Store": "none"})
    chat, response, embedding = sample.bodies()
    assert chat["store"] is False
    assert response["store"] is False
    assert "store" not in embedding
    assert all("x-dac-store" not in seen.headers for seen in sample.running.requests)


def test_a_tenant_may_be_ephemeral_by_policy(gateway, entries):
    policy = gateway.policies / "ephemeral.yaml"
    written = policy.read_text()
    before = entries()
    try:
        policy.write_text("tenants: [default]\n")
        until(lambda: ask_chat(gateway, "by policy").headers.get("x-dac-store") == "none", "the policy")
        assert ask_chat(gateway, "by policy and quite new").cache == "bypass"
        assert ask_chat(gateway, "by policy and quite new").cache == "bypass"
    finally:
        policy.write_text(written)
        until(lambda: "x-dac-store" not in ask_chat(gateway, "by policy").headers, "the old policy")
    until(lambda: entries() >= before + 1, "an ordinary entry")
    assert ask_chat(gateway, "by policy and quite new").cache == "miss"
