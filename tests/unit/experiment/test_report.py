"""How arms are compared, which direction is better, and when a guardrail is broken."""

import json

import pytest
from experiment_bits import experiment, guarded

from penstock.experiment.policy import Arm, Experiment, Guardrail
from penstock.experiment.report import report
from penstock.experiment.tally import Cell, Counts
from penstock.experiment.verdicts import Verdict


def seen(its, metric, n=1000, buckets=32, **rates):
    """Give totals in which each arm's values are 0 or 1, at these rates."""
    totals = {}
    for arm, rate in rates.items():
        counts = totals[Cell.of("e", its, arm)] = Counts(requests=n)
        for place in range(n):
            counts.add(metric, float((place * 7919) % 1000 < rate * 1000), place % buckets)
    return totals


def judged(its, metric, **how):
    return report("e", its, seen(its, metric, **how))


@pytest.mark.parametrize(
    ("metric", "treatment", "finding"),
    [
        ("quality", 0.8, "better"),
        ("quality", 0.2, "worse"),
        ("error", 0.8, "worse"),
        ("cost_usd", 0.2, "better"),
        ("unhappy", 0.8, "worse"),
        ("latency_s", 0.5, "undecided"),
    ],
)
def test_which_direction_is_better_is_known(metric, treatment, finding):
    its = experiment(metric=metric)
    (compared,) = judged(its, metric, control=0.5, treatment=treatment).deciding
    assert compared.finding == finding
    assert compared.told()["finding"] == finding


def test_too_few_says_so():
    its = experiment(metric="error")
    (compared,) = judged(its, "error", n=499, control=0.1, treatment=0.9).deciding
    assert compared.finding == "too few"
    assert compared.told()["interval"] is None
    assert "too few" in str(compared)
    (nothing,) = report("e", its, {}).deciding
    assert nothing.finding == "too few"


@pytest.mark.parametrize(("treatment", "broken"), [(0.1, False), (0.2, False), (0.4, True), (0.0, False)])
def test_a_guardrail_breaks_when_an_arm_is_worse_by_more_for_sure(treatment, broken):
    its = guarded("error", 0.15)
    told = judged(its, "error", control=0.1, treatment=treatment)
    assert bool(told.broken) == broken


def test_a_guardrail_on_quality_looks_the_other_way():
    its = guarded("quality", 0.1)
    assert judged(its, "quality", control=0.9, treatment=0.3).broken
    assert not judged(its, "quality", control=0.3, treatment=0.9).broken


def test_a_guardrail_holds_with_few_units_but_nothing_is_decided():
    its = experiment(metric="error", guardrails={"error": Guardrail(worse_by=0.02)})
    told = judged(its, "error", buckets=2, control=0.1, treatment=0.9)
    assert told.broken
    assert told.deciding[0].finding == "too few"


def test_the_evidence_says_what_and_after_how_many():
    its = guarded("error", 0.02)
    (broken,) = judged(its, "error", control=0.0, treatment=1.0).broken
    assert str(broken).startswith("treatment: error 1 beside 0, a difference of +1 (+0.")
    assert str(broken).endswith("after 1000 and 1000")


def test_several_arms_share_alpha():
    many = Experiment(
        arms={name: Arm() for name in ("control", "b", "c", "d")},
        metric="error",
        guardrails={"error": Guardrail(worse_by=0.1), "latency_s": Guardrail(worse_by=1)},
    )
    few = experiment(metric="error")
    wide = judged(many, "error", control=0.5, b=0.5, c=0.5, d=0.5)
    narrow = judged(few, "error", control=0.5, treatment=0.5)
    assert [each.arm for each in wide.deciding] == ["b", "c", "d"]
    assert wide.deciding[0].difference.high > narrow.deciding[0].difference.high
    assert len(wide.guardrails) == 6


def test_counts_of_a_changed_experiment_are_not_its_own():
    totals = seen(experiment({"cache": {"ttl_s": 1}}), "error", control=0, treatment=1)
    assert report("e", experiment(metric="error"), totals).counts["control"].requests == 0


def test_json_says_all_of_it():
    its = guarded("error", 0.02)
    verdict = Verdict("stopped", "control", "guardrail", 5.0, "why")
    told = report("e", its, seen(its, "error", control=0.1, treatment=0.2), verdict)
    read = json.loads(json.dumps(told.told()))
    assert (read["state"], read["everyone_gets"], read["evidence"]) == ("stopped", "control", "why")
    assert read["arms"]["treatment"]["metrics"]["error"]["n"] == 1000
    assert read["guardrails"][0]["guardrail"] == 0.02
    assert report("e", its, {}).told()["state"] == "running"
