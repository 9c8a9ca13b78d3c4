"""experiment.yaml as an owner writes it, with all that is wrong told at its place."""

import pytest
from experiment_bits import experiment, policies

from penstock.chain import ChainPolicy
from penstock.experiment.policy import METRICS, Arm, Experiment, ExperimentPolicy, settings_of
from penstock.models.policy import ModelsPolicy
from penstock.policy.load import load
from penstock.policy.problems import PolicyProblems
from penstock.stages.cache import CachePolicy
from penstock.tenants.policy import TenantsPolicy
from penstock.upstream.policy import UpstreamsPolicy

KINDS = (ExperimentPolicy, CachePolicy, TenantsPolicy, ModelsPolicy, UpstreamsPolicy, ChainPolicy)

GOOD = """
experiments:
  cheaper-first:
    arms:
      control: {weight: 1}
      treatment: {weight: 1, set: {cache: {ttl_s: 600}}}
    unit: tenant
    tenants: [default]
    metric: quality
    guardrails: {error: {worse_by: 0.02}, latency_s: {worse_by: 1.0}}
    min_sample: 500
    alpha: 0.05
"""


def read(folder, text):
    (folder / "experiment.yaml").write_text(text)
    return load(folder, KINDS)


def problems(folder, text):
    with pytest.raises(PolicyProblems) as told:
        read(folder, text)
    return told.value.problems


def test_the_whole_file_is_read(tmp_path):
    its = read(tmp_path, GOOD)[ExperimentPolicy].experiments["cheaper-first"]
    assert its.control == "control"
    assert its.arms["treatment"].set == {"cache": {"ttl_s": 600}}
    assert its.guardrails["error"].worse_by == 0.02
    assert (its.unit, its.metric, its.min_sample, its.alpha) == ("tenant", "quality", 500, 0.05)
    assert its.concerns("default")
    assert not its.concerns("other")


def test_without_the_file_there_are_no_experiments(tmp_path):
    assert load(tmp_path, KINDS)[ExperimentPolicy].experiments == {}


def test_a_wrong_key_in_an_arm_is_told_with_line_and_suggestion(tmp_path):
    (problem,) = problems(tmp_path, GOOD.replace("ttl_s", "tll_s"))
    assert (problem.line, problem.suggestion) == (6, "ttl_s")
    assert problem.message == "unknown key 'tll_s'"
    assert problem.where == "experiments.cheaper-first.arms.treatment.set.cache.tll_s"
    assert problem.source_line[problem.column - 1 :].startswith(("600", "tll_s"))


@pytest.mark.parametrize(
    ("before", "after", "where", "suggestion"),
    [
        ("tenants: [default]", "tenants: [defualt]", "experiments.cheaper-first.tenants[0]", "default"),
        ("metric: quality", "metric: qualty", "experiments.cheaper-first.metric", "quality"),
        ("unit: tenant", "unit: tennant", "experiments.cheaper-first.unit", "tenant"),
        ("{cache:", "{identify:", "experiments.cheaper-first.arms.treatment.set.identify", None),
        ("alpha: 0.05", "alpha: 0.6", "experiments.cheaper-first.alpha", None),
        ("weight: 1}", "weight: 0}", "experiments.cheaper-first.arms.control.weight", None),
        ("cheaper-first:", "cheaper/first:", "experiments", None),
        ("min_sample: 500", "min_sampl: 500", "experiments.cheaper-first", "min_sample"),
    ],
)
def test_other_mistakes_are_told_too(tmp_path, before, after, where, suggestion):
    (problem,) = problems(tmp_path, GOOD.replace(before, after))
    assert (problem.where, problem.suggestion) == (where, suggestion)


def test_one_arm_is_no_experiment(tmp_path):
    text = GOOD.replace("      treatment: {weight: 1, set: {cache: {ttl_s: 600}}}\n", "")
    assert "at least 2 keys" in problems(tmp_path, text)[0].message


TWO = """
experiments:
  first:
    arms: {control: {}, b: {set: {cache: {ttl_s: 600}}}}
  second:
    arms: {control: {}, b: {set: {cache: {KEY: 60}}}}
"""


def test_two_that_set_the_same_key_are_refused_with_both_places(tmp_path):
    (problem,) = problems(tmp_path, TWO.replace("KEY", "ttl_s"))
    assert problem.where == "experiments.second.arms.b.set.cache.ttl_s"
    assert problem.message == "experiment 'first' sets this key, too"
    assert (problem.line, problem.other.line) == (6, 4)


def test_two_that_set_different_keys_of_a_file_are_fine(tmp_path):
    assert len(read(tmp_path, TWO.replace("KEY", "max_entry_bytes"))[ExperimentPolicy].experiments) == 2


def test_a_key_within_anothers_mapping_is_the_same_key():
    whole = experiment({"cache": {"replay": {}}})
    part = experiment({"cache": {"replay": {"pace": "paced"}}})
    live = policies(a=whole, b=part)
    assert [each.loc[1] for each in live[ExperimentPolicy].check(live)] == ["b"]


def test_different_tenants_may_try_the_same_key():
    one = experiment({"cache": {"ttl_s": 1}}, tenants=("default",))
    live = policies(a=one, b=experiment({"cache": {"ttl_s": 2}}, tenants=("other",)))
    assert not [each for each in live[ExperimentPolicy].check(live) if "too" in each.message]


def test_the_digest_says_what_an_arm_means_and_nothing_else():
    its = experiment({"cache": {"ttl_s": 1}})
    assert its.digest == experiment({"cache": {"ttl_s": 1}}, alpha=0.01, min_sample=20).digest
    others = [
        experiment({"cache": {"ttl_s": 2}}),
        experiment({"cache": {"ttl_s": 1}}, unit="tenant"),
        experiment({"cache": {"ttl_s": 1}}, tenants=("acme",)),
        Experiment(arms={"control": Arm(weight=2), "treatment": Arm(set={"cache": {"ttl_s": 1}})}),
    ]
    assert len({its.digest, *(each.digest for each in others)}) == 5


def test_settings_of_all_arms_count():
    its = experiment({"cache": {"ttl_s": 1}}, {"cache": {"replay": {"pace": "paced"}}})
    assert settings_of(its) == {("cache", "ttl_s"), ("cache", "replay", "pace")}


def test_every_metric_may_decide():
    assert [experiment(metric=metric).metric for metric in METRICS] == list(METRICS)
