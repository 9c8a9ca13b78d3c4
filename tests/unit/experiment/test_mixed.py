"""Every combination of arms has its policies, and an arm without settings has the base's own."""

import pytest
from experiment_bits import experiment, policies

from penstock import testing
from penstock.errors import StartError
from penstock.experiment.mixed import Mixed, variants
from penstock.experiment.policy import Arm, Experiment, ExperimentPolicy
from penstock.routing.policy import RoutingPolicy
from penstock.stages.cache import CachePolicy
from penstock.upstream.policy import UpstreamsPolicy


def test_an_arm_gets_its_settings_and_leaves_the_base_alone():
    base = policies(CachePolicy(ttl_s=1.0, max_temperature=0.5), e=experiment({"cache": {"ttl_s": 600}}))
    live = Mixed(base).of((("e", "treatment"),))
    assert (live[CachePolicy].ttl_s, live[CachePolicy].max_temperature) == (600, 0.5)
    assert base[CachePolicy].ttl_s == 1
    assert live[UpstreamsPolicy] is base[UpstreamsPolicy]
    assert live[ExperimentPolicy] is base[ExperimentPolicy]


def test_an_arm_without_settings_has_the_files_own():
    base = policies(e=experiment({"cache": {"ttl_s": 600}}))
    assert Mixed(base).of((("e", "control"),))[CachePolicy] == base[CachePolicy]


def test_two_experiments_on_one_file_go_together():
    base = policies(
        a=experiment({"cache": {"ttl_s": 5}}),
        b=experiment({"cache": {"several_choices": True}}, {"cache": {}}),
    )
    mixed = Mixed(base)
    for first, second in (("control", "treatment"), ("treatment", "control"), ("treatment", "treatment")):
        live = mixed.of((("a", first), ("b", second)))[CachePolicy]
        assert live.ttl_s == (5 if first == "treatment" else 3600)
        assert live.several_choices == (second == "treatment")
    assert mixed.of((("b", "treatment"),))[CachePolicy].ttl_s == 3600  # who is in one of them only


def test_the_same_arms_share_one_set():
    mixed = Mixed(policies(e=experiment({"cache": {"ttl_s": 5}})))
    assert mixed.of((("e", "treatment"),)) is mixed.of((("e", "treatment"),))


def test_arms_that_go_together_badly_do_not_start():
    with pytest.raises(StartError, match=r"a=treatment.*cache\.yaml"):
        Mixed(policies(a=experiment({"cache": {"ttl_s": "x"}})))


def test_too_many_combinations_are_refused():
    arms = {f"arm{place}": Arm(set={"cache": {"ttl_s": place + 1}}) for place in range(20)}
    with pytest.raises(StartError, match=r"too many experiments set cache\.yaml"):
        Mixed(policies(a=Experiment(arms=arms), b=Experiment(arms=arms)))


EXAMPLES = ["one", "two", "three"]


def intents(**labels):
    return {
        "routing": {
            "intents": {name: [f"{word} {said}" for word in EXAMPLES] for name, said in labels.items()}
        }
    }


def sets_of(base):
    return [
        {name: its[0] for name, its in each.intents.items()}
        for each in variants(base, RoutingPolicy, "intents")
    ]


def test_the_variants_of_a_key_are_those_that_requests_will_meet():
    base = policies(
        RoutingPolicy(intents={"code": tuple(EXAMPLES)}),
        a=experiment(intents(maths="m")),
        b=experiment(intents(maths="n", poems="p"), {"routing": {"latency": {"probe_s": 1.0}}}),
    )
    found, mixed = sets_of(base), Mixed(base)
    for first in ("control", "treatment", None):
        for second in ("control", "treatment", None):
            chosen = [(name, arm) for name, arm in (("a", first), ("b", second)) if arm]
            live = mixed.of(tuple(chosen))[RoutingPolicy].intents
            assert {name: its[0] for name, its in live.items()} in found
    assert {"code": "one", "maths": "one n", "poems": "one p"} in found
    assert {"code": "one", "maths": "one m"} in found


def test_experiments_that_leave_a_key_alone_make_no_variants():
    assert (
        sets_of(policies(e=experiment({"routing": {"latency": {"probe_s": 1.0}}, "cache": {"ttl_s": 5}})))
        == []
    )
    assert sets_of(policies()) == []


def test_without_the_experiment_stage_there_are_no_variants():
    assert list(variants(testing.policies(RoutingPolicy()), RoutingPolicy, "intents")) == []


def test_of_variants_there_are_only_so_many():
    arms = {f"arm{place}": Arm(set=intents(code=str(place))) for place in range(20)}
    with pytest.raises(StartError, match=r"too many experiments set routing\.yaml"):
        sets_of(policies(a=Experiment(arms=arms), b=Experiment(arms=arms)))


def test_a_variant_that_is_no_policy_does_not_start():
    with pytest.raises(StartError, match=r"e=treatment.*routing\.yaml"):
        sets_of(policies(e=experiment({"routing": {"intents": {"code": ["too few"]}}})))
