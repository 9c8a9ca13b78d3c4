"""The admin port: health, and metrics that add up and stay bounded whatever clients send."""

import re
import subprocess

import pytest
from tests.integration.house.house_parts import ask, ask_chat, needs, until

MANY = 300
SAMPLE_LINE = re.compile(r"(?P<name>[a-z_]+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
SENT = {"hit": 3, "failed": 2, "streamed": 4}


@pytest.fixture(scope="module")
def gateway(new_gateway):
    """A gateway that has answered much: 300 models and paths, hits, errors, streams."""
    started = new_gateway()
    for number in range(MANY):
        ask_chat(started, "x", model=f"model-{number}")
        ask(f"{started.base_url}/path-{number}/{number}", b"x")
    for _ in range(SENT["hit"]):
        assert ask_chat(started, "x", model="model-0").cache == "hit"
    for number in range(SENT["failed"]):
        assert ask_chat(started, f"f {number}", model="fault-500").status == 500
    for number in range(SENT["streamed"]):
        ask_chat(started, f"s {number}", model="model-1", stream=True)
    ask(f"{started.base_url}/embeddings", {"model": "e", "input": "x"})
    ask_chat(started, "x", model='a model\nwith {odd} "characters"')
    ask_chat(started, "x", model="m" * 2000)
    return started


@pytest.fixture(scope="module")
def text(gateway):
    """The metrics once every exchange is in them."""
    total = 2 * MANY + sum(SENT.values()) + 3

    def complete():
        told = ask(f"{gateway.admin_url}/metrics").body.decode()
        return told if add(told, "penstock_requests_total") == total else None

    return until(complete, f"{total} requests in the metrics")


def samples(text, name):
    """Give label text and value of every sample of a metric."""
    found = []
    for line in text.splitlines():
        match = SAMPLE_LINE.fullmatch(line)
        if match and match["name"] == name:
            found.append((match["labels"] or "", float(match["value"])))
    return found


def add(text, name, *labels):
    return sum(value for told, value in samples(text, name) if all(label in told for label in labels))


def test_health(gateway):
    assert ask(f"{gateway.admin_url}/healthz").json == {"status": "ok"}
    ready = ask(f"{gateway.admin_url}/readyz")
    assert (ready.status, ready.json) == (200, {"status": "ready", "gateway": "ok", "store": "ok"})
    assert ask(f"{gateway.root}/healthz").json == {"status": "ok"}
    assert ask(f"{gateway.admin_url}/nothing").status == 404


def test_promtool_is_content(text):
    command = [needs("promtool"), "check", "metrics"]
    told = subprocess.run(command, input=text, capture_output=True, text=True, timeout=30, check=False)
    assert (told.returncode, told.stdout + told.stderr) == (0, "")


@pytest.mark.parametrize(
    "name",
    [
        "gen_ai_client_operation_duration_seconds",
        "gen_ai_client_token_usage",
        "gen_ai_client_operation_time_to_first_chunk_seconds",
        "penstock_stage_duration_seconds",
    ],
)
def test_histograms_have_their_names_and_labels(text, name):
    assert f"# TYPE {name} histogram" in text
    labels = samples(text, f"{name}_count")[0][0]
    if name.startswith("gen_ai"):
        for label in ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"):
            assert f'{label}="' in labels


def test_labels_are_bounded(text):
    models = set(re.findall(r'gen_ai_request_model="([^"]*)"', text))
    assert "other" in models
    assert "model-0" in models
    assert len(models) <= 101
    assert "path-" not in text
    assert "odd" not in text
    assert "m" * 65 not in text
    assert len(text) < 2_000_000


def test_values_add_up_over_what_was_sent(text):
    duration = "gen_ai_client_operation_duration_seconds_count"
    chats = MANY + sum(SENT.values()) + 2
    assert add(text, duration, 'operation_name="chat"') == chats
    assert add(text, duration, 'operation_name="embeddings"') == 1
    assert add(text, "penstock_requests_total", 'endpoint="other"') == MANY
    assert add(text, "penstock_requests_total", 'status="500"') == SENT["failed"]
    first = "gen_ai_client_operation_time_to_first_chunk_seconds_count"
    assert add(text, first) == SENT["streamed"]
    decisions = "penstock_stage_decisions_total"
    assert add(text, decisions, 'stage="cache"', 'action="hit"') == SENT["hit"]
    assert add(text, decisions, 'stage="cache"', 'action="miss"') == chats + 1 - SENT["hit"]
    assert add(text, decisions, 'stage="upstream"') == chats + 1 - SENT["hit"] + MANY
    assert add(text, "penstock_stage_duration_seconds_count", 'stage="identify"') == 2 * MANY + 12


def test_tokens_are_what_the_upstream_told(gateway, text):
    lines = [line for line in gateway.exchanges if "input_tokens" in line]
    tokens = "gen_ai_client_token_usage_sum"
    assert add(text, tokens, 'token_type="input"') == sum(line["input_tokens"] for line in lines) > 0
    assert add(text, tokens, 'token_type="output"') == sum(line["output_tokens"] for line in lines) > 0


def test_an_error_is_told_by_type(gateway):
    upstream = ask_chat(gateway, "x", {"X-DAC-Cache": "bypass"}, model="fault-close")
    assert upstream.code == "upstream_closed"
    duration = "gen_ai_client_operation_duration_seconds_count"
    metrics = f"{gateway.admin_url}/metrics"
    until(
        lambda: add(ask(metrics).body.decode(), duration, 'error_type="upstream_closed"') == 1,
        "the error in the metrics",
    )
