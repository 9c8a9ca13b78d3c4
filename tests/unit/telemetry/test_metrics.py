import pytest
from prometheus_client import REGISTRY

from penstock import testing
from penstock.openai.usage import Usage
from penstock.stages.ephemeral import EphemeralPolicy
from penstock.telemetry import metrics
from penstock.telemetry.metrics import Recorder


@pytest.fixture
def recorder():
    return Recorder()


@pytest.fixture
def counted():
    """Give how much a sample has grown since the test first asked for it."""
    before = {}

    def grown(name, **labels):
        now = REGISTRY.get_sample_value(name, labels) or 0.0
        return now - before.setdefault((name, *sorted(labels.items())), now)

    return grown


def made(model="m", path="/v1/chat/completions", **fields):
    return testing.exchange(path, body={"model": model, "messages": [], **fields})


def labels(model, operation="chat", provider="none"):
    return {
        "gen_ai_operation_name": operation,
        "gen_ai_provider_name": provider,
        "gen_ai_request_model": model,
    }


DURATION = "gen_ai_client_operation_duration_seconds"


def test_an_exchange_is_counted_once_with_its_time(recorder, counted):
    exchange = made("timed")
    at = {**labels("timed"), "error_type": ""}
    counted(f"{DURATION}_count", **at)
    counted(f"{DURATION}_sum", **at)
    counted("penstock_requests_total", endpoint="chat.completions", status="200")
    recorder.record(exchange, 200, "", exchange.began + 3.0)
    assert counted(f"{DURATION}_count", **at) == 1
    assert counted(f"{DURATION}_sum", **at) == pytest.approx(3.0)
    assert counted("penstock_requests_total", endpoint="chat.completions", status="200") == 1


@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/v1/chat/completions", "chat"),
        ("/v1/responses", "chat"),
        ("/v1/completions", "text_completion"),
        ("/v1/embeddings", "embeddings"),
    ],
)
def test_operations_have_opentelemetrys_names(recorder, counted, path, operation):
    at = {**labels("ops", operation), "error_type": ""}
    counted(f"{DURATION}_count", **at)
    exchange = made("ops", path)
    recorder.record(exchange, 200, "", exchange.began)
    assert counted(f"{DURATION}_count", **at) == 1


def test_other_paths_are_requests_but_no_operation(recorder, counted):
    before = sum(sample.value for sample in operations())
    counted("penstock_requests_total", endpoint="other", status="200")
    exchange = made(path="/v1/files")
    recorder.record(exchange, 200, "", exchange.began)
    assert counted("penstock_requests_total", endpoint="other", status="200") == 1
    assert sum(sample.value for sample in operations()) == before


def operations():
    (family,) = metrics.OPERATION_DURATION.collect()
    return [sample for sample in family.samples if sample.name.endswith("_count")]


def test_tokens_are_what_was_used(recorder, counted):
    at = labels("tokens", provider="openai")
    for kind in ("input", "output"):
        counted("gen_ai_client_token_usage_sum", **at, gen_ai_token_type=kind)
    exchange = made("tokens")
    exchange.provider = "openai"
    exchange.usage = Usage(input_tokens=7, output_tokens=11, told={})
    recorder.record(exchange, 200, "", exchange.began)
    assert counted("gen_ai_client_token_usage_sum", **at, gen_ai_token_type="input") == 7
    assert counted("gen_ai_client_token_usage_sum", **at, gen_ai_token_type="output") == 11


@pytest.mark.parametrize(("stream", "count"), [(True, 1), (False, 0)])
def test_the_first_chunk_is_a_streams(recorder, counted, stream, count):
    name = "gen_ai_client_operation_time_to_first_chunk_seconds"
    at = labels(f"first-{stream}")
    counted(f"{name}_count", **at)
    exchange = made(f"first-{stream}", stream=stream)
    exchange.first_byte = exchange.began + 0.5
    recorder.record(exchange, 200, "", exchange.began + 1)
    assert counted(f"{name}_count", **at) == count
    assert counted(f"{name}_sum", **at) == 0  # asked for the first time: there is nothing to compare with


def test_decisions_and_stages_are_counted(recorder, counted):
    exchange = made()
    exchange.decide("cache", "hit", "3 s old")
    exchange.timings["cache"] = 0.25
    counted("penstock_stage_decisions_total", stage="cache", action="hit")
    counted("penstock_stage_duration_seconds_sum", stage="cache")
    recorder.record(exchange, 200, "", exchange.began)
    assert counted("penstock_stage_decisions_total", stage="cache", action="hit") == 1
    assert counted("penstock_stage_duration_seconds_sum", stage="cache") == pytest.approx(0.25)


def models():
    return {sample.labels["gen_ai_request_model"] for sample in operations()}


def test_only_so_many_models_have_a_name(recorder):
    before = models()
    for number in range(300):
        exchange = made(f"bounded-{number}")
        recorder.record(exchange, 200, "", exchange.began)
    assert len(models() - before - {"other"}) == 100
    assert "bounded-99" in models()
    assert "bounded-100" not in models()


@pytest.mark.parametrize(
    "name", ["", "x" * 65, "with space", 'a"quote', "new\nline", "ümlaut", 7, None, ["m"]]
)
def test_a_name_that_could_be_anything_is_other(recorder, name):
    before = models()
    exchange = made(name)
    recorder.record(exchange, 200, "", exchange.began)
    assert models() - before <= {"other"}


def test_a_model_that_no_upstream_answered_is_other(recorder):
    before = models()
    for status, error in ((404, "model_not_found"), (499, "client_left"), (502, "upstream_closed")):
        exchange = made("unknown-to-all")
        recorder.record(exchange, status, error, exchange.began)
    assert "unknown-to-all" not in models() - before


def test_an_ephemeral_exchange_teaches_no_name(recorder):
    exchange = testing.exchange(body={"model": "hush"}, given=[EphemeralPolicy()])
    exchange.ephemeral = True
    recorder.record(exchange, 200, "", exchange.began)
    assert "hush" not in models()


def test_a_name_once_learned_stays_for_failures(recorder, counted):
    for status, error in ((200, ""), (429, "upstream_error")):
        exchange = made("learned")
        at = {**labels("learned"), "error_type": error}
        counted(f"{DURATION}_count", **at)
        recorder.record(exchange, status, error, exchange.began)
        assert counted(f"{DURATION}_count", **at) == 1


def test_a_route_is_told_with_its_place(counted):
    routes = metrics.Routes()
    routes.accept({"east": ("azure", "eu-east")})
    at = {"upstream": "east", "provider": "azure", "region": "eu-east", "model": "routed"}
    counted("penstock_upstream_first_event_seconds_count", **at)
    routes.first_event("east", "routed", 0.25)
    assert counted("penstock_upstream_first_event_seconds_count", **at) == 1
    assert REGISTRY.get_sample_value("penstock_upstream_first_event_seconds_sum", at) == 0.25
    routes.state("east", "routed", slow=True)
    assert REGISTRY.get_sample_value("penstock_upstream_slow", at) == 1
    routes.state("east", "routed", slow=False)
    assert REGISTRY.get_sample_value("penstock_upstream_slow", at) == 0


def test_a_route_whose_upstream_is_gone_from_the_policies_has_no_place():
    routes = metrics.Routes()
    routes.state("gone", "routed", slow=True)
    at = {"upstream": "gone", "provider": "", "region": "", "model": "routed"}
    assert REGISTRY.get_sample_value("penstock_upstream_slow", at) == 1


def test_arms_are_counted_by_what_became_of_their_requests(counted):
    at = {"experiment": "trial", "arm": "treatment"}
    names = {share: {**at, "counted": share} for share in ("measured", "hit", "excluded")}
    for each in names.values():
        counted("penstock_experiment_requests_total", **each)
    for name in ("observations", "observed"):
        counted(f"penstock_experiment_{name}_total", **at, metric="cost_usd")
    metrics.Arms().counted("trial", "treatment", 10, 3, 2, {"cost_usd": (5.0, 0.25)})
    metrics.Arms().counted("trial", "treatment", 1, 0, 0, {"cost_usd": (0.0, 0.5)})
    found = {name: counted("penstock_experiment_requests_total", **each) for name, each in names.items()}
    assert found == {"measured": 6, "hit": 3, "excluded": 2}
    assert counted("penstock_experiment_observations_total", **at, metric="cost_usd") == 5
    assert counted("penstock_experiment_observed_total", **at, metric="cost_usd") == 0.75


def state(experiment):
    """Give the states that the gauge says an experiment is in."""
    name = "penstock_experiment_state"
    states = ("running", "stopped", "promoted")
    found = {
        each: REGISTRY.get_sample_value(name, {"experiment": experiment, "state": each}) for each in states
    }
    return [each for each, value in found.items() if value]


def test_an_experiment_is_in_one_state_and_in_none_once_it_is_gone():
    arms = metrics.Arms()
    arms.states({"trial": "running", "other": "stopped"})
    assert (state("trial"), state("other")) == (["running"], ["stopped"])
    arms.states({"trial": "promoted"})
    assert (state("trial"), state("other")) == (["promoted"], [])
    arms.states({})
    assert state("trial") == []
