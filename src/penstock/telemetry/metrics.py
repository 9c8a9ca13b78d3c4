"""Every metric of Penstock. Names and buckets of gen_ai_* follow OpenTelemetry's GenAI conventions.

With PROMETHEUS_MULTIPROC_DIR set, all processes of one gateway write into that folder and the admin
process adds them up. Labels can't grow without bound, whatever clients send: endpoints, stages and
actions are words of ours, upstreams, experiments and arms are names from the policies, and models beyond the
first hundred that an upstream answered are `other`. So what every request writes keeps its labels looked up.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from penstock.exchange import Exchange
from penstock.openai.request import Endpoint

_MODELS: Final = 100
_MODEL_NAME: Final = re.compile(r"[\w.:/@-]{1,64}", re.ASCII)
# OpenTelemetry semantic conventions for generative AI, client metrics, November 2026.
_DURATION_BUCKETS: Final = (
    0.01,
    0.02,
    0.04,
    0.08,
    0.16,
    0.32,
    0.64,
    1.28,
    2.56,
    5.12,
    10.24,
    20.48,
    40.96,
    81.92,
)
_TOKEN_BUCKETS: Final = tuple(4**power for power in range(14))
_STAGE_BUCKETS: Final = (0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0)
_OPERATIONS: Final = {
    Endpoint.CHAT: "chat",
    Endpoint.RESPONSES: "chat",
    Endpoint.COMPLETIONS: "text_completion",
    Endpoint.EMBEDDINGS: "embeddings",
}
_ROUTE: Final = ("upstream", "provider", "region", "model")
_GEN_AI: Final = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")

OPERATION_DURATION: Final = Histogram(
    "gen_ai_client_operation_duration_seconds",
    "How long an operation took, from the request's last byte to the answer's.",
    (*_GEN_AI, "error_type"),
    buckets=_DURATION_BUCKETS,
)
FIRST_CHUNK: Final = Histogram(
    "gen_ai_client_operation_time_to_first_chunk_seconds",
    "How long a streamed operation took to its first event.",
    _GEN_AI,
    buckets=_DURATION_BUCKETS,
)
TOKEN_USAGE: Final = Histogram(
    "gen_ai_client_token_usage",
    "Tokens of an operation as the upstream reported them.",
    (*_GEN_AI, "gen_ai_token_type"),
    buckets=_TOKEN_BUCKETS,
)
REQUESTS: Final = Counter("penstock_requests_total", "Requests answered.", ("endpoint", "status"))
WEBSOCKETS: Final = Counter("penstock_websockets_total", "WebSockets passed through.")
DECISIONS: Final = Counter("penstock_stage_decisions_total", "What stages decided.", ("stage", "action"))
REDACTIONS: Final = Counter(
    "penstock_redactions_total", "Values found by redaction, by what was done with them.", ("type", "action")
)
STAGE_DURATION: Final = Histogram(
    "penstock_stage_duration_seconds",
    "Time inside a stage until it had its reply, without the stages behind it.",
    ("stage",),
    buckets=_STAGE_BUCKETS,
)
RELOADS: Final = Counter("penstock_policy_reloads_total", "Policy sets that became live.")
RELOAD_FAILED: Final = Gauge(
    "penstock_policy_reload_failed",
    "1 while the policies on disk are refused and an older set is live.",
    multiprocess_mode="livemax",
)

FIRST_EVENT: Final = Histogram(
    "penstock_upstream_first_event_seconds",
    "How long an upstream took to a stream's first event, for models that routing chooses upstreams for.",
    _ROUTE,
    buckets=_DURATION_BUCKETS,
)
SLOW: Final = Gauge(
    "penstock_upstream_slow",
    "1 while routing keeps a model's requests from this upstream since it is slow there, but for probes.",
    _ROUTE,
    multiprocess_mode="livemax",
)

ARM_REQUESTS: Final = Counter(
    "penstock_experiment_requests_total",
    "Requests of an experiment's arms: measured, answered by the cache, or excluded from the metrics.",
    ("experiment", "arm", "counted"),
)
OBSERVATIONS: Final = Counter(
    "penstock_experiment_observations_total",
    "Observations of a metric of an experiment's arms.",
    ("experiment", "arm", "metric"),
)
OBSERVED: Final = Counter(
    "penstock_experiment_observed_total",
    "The sum of what was observed of a metric of an experiment's arms; by observations, its mean.",
    ("experiment", "arm", "metric"),
)
EXPERIMENT_STATE: Final = Gauge(
    "penstock_experiment_state",
    "1 for the state that an experiment is in: running, stopped or promoted.",
    ("experiment", "state"),
    multiprocess_mode="livemax",
)
_STATES: Final = ("running", "stopped", "promoted")

_request = cache(REQUESTS.labels)
_decision = cache(DECISIONS.labels)
_stage = cache(STAGE_DURATION.labels)
_operation = cache(OPERATION_DURATION.labels)
_first_chunk = cache(FIRST_CHUNK.labels)
_tokens = cache(TOKEN_USAGE.labels)


class Arms:
    """Notes what experiments count, and where they are. Their names, and those of arms, are the policies'."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def counted(
        self,
        experiment: str,
        arm: str,
        requests: int,
        hits: int,
        excluded: int,
        seen: Mapping[str, tuple[float, float]],
    ) -> None:
        """Add to an arm; `seen` is how many observations of a metric there were, and their sum."""
        shares = {"measured": requests - hits - excluded, "hit": hits, "excluded": excluded}
        for share, number in shares.items():
            if number > 0:
                ARM_REQUESTS.labels(experiment, arm, share).inc(number)
        for metric, (observations, total) in seen.items():
            OBSERVATIONS.labels(experiment, arm, metric).inc(observations)
            OBSERVED.labels(experiment, arm, metric).inc(total)

    def states(self, states: Mapping[str, str]) -> None:
        """Say where all experiments are; one that is gone from the policies is nowhere."""
        for experiment in self._known | states.keys():
            for state in _STATES:
                EXPERIMENT_STATE.labels(experiment, state).set(states.get(experiment) == state)
        self._known = set(states)


class Routes:
    """Notes what happens on routes. Their names are those of the policies, so labels stay few."""

    def __init__(self) -> None:
        self._places: Mapping[str, tuple[str, str]] = {}

    def accept(self, places: Mapping[str, tuple[str, str]]) -> None:
        """Learn the provider and the region of each upstream."""
        self._places = places

    def first_event(self, upstream: str, model: str, seconds: float) -> None:
        """Count a stream's first event."""
        FIRST_EVENT.labels(*self._labels(upstream, model)).observe(seconds)

    def state(self, upstream: str, model: str, *, slow: bool) -> None:
        """Set the route's gauge."""
        SLOW.labels(*self._labels(upstream, model)).set(slow)

    def _labels(self, upstream: str, model: str) -> tuple[str, str, str, str]:
        return upstream, *self._places.get(upstream, ("", "")), model


class Recorder:
    """Writes ended exchanges into the metrics."""

    def __init__(self) -> None:
        self._models: set[str] = set()

    def record(self, exchange: Exchange, status: int, error: str, ended: float) -> None:
        """Count one exchange; `error` is empty or a stable code, `ended` on the monotonic clock."""
        request = exchange.request
        _request(request.endpoint.value, str(status)).inc()
        for decision in exchange.decisions:
            _decision(decision.stage, decision.action).inc()
        for (kind, action), number in exchange.redactions.items():
            REDACTIONS.labels(kind, action).inc(number)
        for stage, seconds in exchange.timings.items():
            _stage(stage).observe(seconds)
        if (operation := _OPERATIONS.get(request.endpoint)) is None:
            return
        labels = operation, exchange.provider or "none", self._model(exchange, status)
        _operation(*labels, error).observe(ended - exchange.began)
        if request.stream and exchange.first_byte is not None:
            _first_chunk(*labels).observe(exchange.first_byte - exchange.began)
        if exchange.usage is not None:
            _tokens(*labels, "input").observe(exchange.usage.input_tokens)
            _tokens(*labels, "output").observe(exchange.usage.output_tokens)

    def _model(self, exchange: Exchange, status: int) -> str:
        name = exchange.request.model or ""
        if name in self._models:
            return name
        learn = status == 200 and not exchange.ephemeral and len(self._models) < _MODELS
        if learn and _MODEL_NAME.fullmatch(name):
            self._models.add(name)
            return name
        return "other"
