"""What is counted of an exchange, and what is left out."""

import pytest
from experiment_bits import policies

from penstock import testing
from penstock.errors import Refusal
from penstock.exchange import Call
from penstock.experiment.measure import Ended, cost_usd, count, failed_over, status_of
from penstock.experiment.tally import Counts
from penstock.openai.usage import Usage


def exchange(*calls, attempts=None):
    made = testing.exchange()
    made.policies = policies()
    made.calls = list(calls)
    made.attempts = len(calls) if attempts is None else attempts
    return made


def counted(its, status=200, latency_s=1.5):
    counts = Counts()
    count(counts, its, Ended(status, latency_s), 7)
    assert counts.requests == 1
    return counts


CALL = Call("m", Usage(1_000_000, 500_000))


def test_an_answer_counts_in_every_metric():
    counts = counted(exchange(CALL))
    told = {metric: counts.sample(metric).total for metric in counts.metrics}
    assert told == {"error": 0, "latency_s": 1.5, "unhappy": 0, "cost_usd": 3.0}
    assert all(seen.ns[7] == 1 for seen in counts.metrics.values())


def test_an_escalation_costs_both_calls_and_is_no_failover():
    its = exchange(CALL, CALL)
    assert not failed_over(its)
    assert cost_usd(its) == 6.0
    assert counted(its).sample("cost_usd").total == 6.0


@pytest.mark.parametrize("its", [exchange(CALL, attempts=2), exchange(attempts=2)])
def test_a_failover_is_left_out(its):
    counts = counted(its)
    assert counts.excluded == 1
    assert counts.metrics == {}


def test_a_cache_hit_is_counted_apart():
    counts = counted(exchange())
    assert (counts.hits, counts.metrics) == (1, {})


@pytest.mark.parametrize("status", [500, 502, 503, 429, 408])
def test_an_error_counts_as_one_and_has_no_latency(status):
    counts = counted(exchange(attempts=1), status)
    assert counts.sample("error").mean == 1
    assert set(counts.metrics) == {"error"}
    assert counted(exchange(), 503).sample("error").n == 1  # refused before any call


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, None])
def test_what_no_arm_could_answer_is_left_out(status):
    counts = counted(exchange(attempts=1), status)
    assert (counts.excluded, counts.metrics) == (1, {})


@pytest.mark.parametrize("call", [Call("m"), Call("m", Usage()), Call("unknown", Usage(1, 1))])
def test_an_unknown_cost_is_no_cost(call):
    its = exchange(CALL, call)
    assert cost_usd(its) is None
    counts = counted(its)
    assert "cost_usd" not in counts.metrics
    assert counts.sample("latency_s").n == 1


def test_a_stream_that_broke_is_an_error():
    assert status_of(None) == 200
    assert status_of(Refusal(502, "x", "x")) == 502
    assert status_of(Refusal(400, "x", "x")) == 500
