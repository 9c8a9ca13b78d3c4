"""What routing.yaml may say, and what is found in it that can't be meant."""

import pytest
from pydantic import ValidationError
from routing_house import MODELS, UPSTREAMS, of

from penstock import testing
from penstock.routing.policy import Alias, Cascade, Latency, RoutingPolicy, Rule
from penstock.tenants.policy import TenantsPolicy

EXAMPLES = ("one", "two", "three")


def found(**routing):
    """Give where something was found, what, and what was meant."""
    policy = of(RoutingPolicy, **routing)
    set_ = testing.policies(MODELS, UPSTREAMS, policy)
    return [(each.loc, each.message, each.suggestion) for each in policy.check(set_)]


def auto(**fields):
    return {"auto": of(Alias, **{"candidates": [{"model": "small"}, {"model": "large"}], **fields})}


def test_a_policy_that_fits_has_no_findings():
    rules = [of(Rule, intent=["code"], use="large"), of(Rule, hours="22:00-06:00", use="small")]
    small = {"model": "small", "upstreams": ["east", "west"]}
    its = auto(
        candidates=[small, {"model": "large"}], rules=rules, cascade=of(Cascade, second_opinion="nano")
    )
    assert found(aliases=its, intents={"code": EXAMPLES}) == []


def test_an_unknown_model_is_found_with_its_place():
    its = {"auto": of(Alias, candidates=[{"model": "small"}, {"model": "larg"}])}
    assert found(aliases=its) == [
        (("aliases", "auto", "candidates", 1, "model"), "models.yaml has no 'larg'", "large")
    ]


def test_an_unknown_upstream_is_found_with_its_place():
    its = {"auto": of(Alias, candidates=[{"model": "small", "upstreams": ["east", "wets"]}])}
    assert found(aliases=its) == [
        (("aliases", "auto", "candidates", 0, "upstreams", 1), "no upstream is called 'wets'", "west")
    ]


def test_a_rule_for_nobody_is_found_with_its_place():
    rules = [of(Rule, use="small"), of(Rule, intent=["maths", "coed"], use="lagre")]
    assert found(aliases=auto(rules=rules), intents={"maths": EXAMPLES, "code": EXAMPLES}) == [
        (("aliases", "auto", "rules", 1, "use"), "'lagre' is not among the candidates", "large"),
        (("aliases", "auto", "rules", 1, "intent", 1), "no intent is called 'coed'", "code"),
    ]


@pytest.mark.parametrize(
    ("tenants", "wrong"),
    [({"acme": {}}, [("acmee", "acme"), ("default", None)]), ({}, [("acmee", None)])],
)
def test_a_rule_for_a_tenant_that_is_none_is_found(tenants, wrong):
    rules = [of(Rule, tenant=["acmee", "default"], use="large")]
    policy = of(RoutingPolicy, aliases=auto(rules=rules))
    set_ = testing.policies(MODELS, UPSTREAMS, policy, TenantsPolicy.model_validate({"tenants": tenants}))
    assert [(each.message, each.suggestion) for each in policy.check(set_)] == [
        (f"no tenant is called {name!r}", near) for name, near in wrong
    ]


def test_a_candidate_that_is_there_twice_is_found():
    its = auto(candidates=[{"model": "small"}, {"model": "large"}, {"model": "small"}])
    at = ("aliases", "auto", "candidates", 2, "model")
    assert found(aliases=its) == [(at, "'small' is a candidate already", None)]


def test_a_cascade_with_nobody_to_escalate_to_is_found():
    its = auto(candidates=[{"model": "small"}], cascade=of(Cascade))
    message = "'small' is the only candidate, so there is nobody to escalate to"
    assert found(aliases=its) == [(("aliases", "auto", "cascade"), message, None)]


@pytest.mark.parametrize("limit", [{"least_mean_logprob": -1.0}, {"least_margin": 0.0}])
def test_a_limit_of_log_probabilities_needs_their_gate(limit):
    at = ("aliases", "auto", "cascade", *limit)
    message = "only the gate 'logprobs' looks at this, and gates lack it"
    assert found(aliases=auto(cascade=of(Cascade, **limit))) == [(at, message, None)]
    assert found(aliases=auto(cascade=of(Cascade, gates=["logprobs"], **limit))) == []


def test_an_alias_among_the_candidates_is_found_but_it_may_bear_its_own_models_name():
    its = {
        "small": of(Alias, candidates=[{"model": "small"}, {"model": "large"}]),
        "auto": of(Alias, candidates=[{"model": "small"}, {"model": "large"}]),
    }
    at = ("aliases", "auto", "candidates", 0, "model")
    assert found(aliases=its) == [(at, "'small' is an alias itself", None)]


@pytest.mark.parametrize(
    ("name", "said"), [("nona", "models.yaml has no 'nona'"), ("other", "'other' is an alias")]
)
def test_a_second_opinion_must_be_a_model(name, said):
    its = {
        **auto(cascade=of(Cascade, second_opinion=name)),
        "other": of(Alias, candidates=[{"model": "small"}]),
    }
    told = found(aliases=its)
    assert all(loc == ("aliases", "auto", "cascade", "second_opinion") for loc, _, _ in told)
    assert any(message.startswith(said) for _, message, _ in told)


@pytest.mark.parametrize("hours", ["08:00-18:00", "22:00-06:00", "00:00-23:59"])
def test_hours_of_a_day(hours):
    assert of(Rule, hours=hours, use="m").hours == hours


@pytest.mark.parametrize(
    "hours", ["25:00-06:00", "08:00-24:00", "08:60-09:00", "8:00-9:00", "08:00", "08:00-09:00-10:00"]
)
def test_hours_that_no_clock_shows_are_refused(hours):
    with pytest.raises(ValidationError):
        of(Rule, hours=hours, use="m")


def test_an_intent_has_three_examples_at_least():
    with pytest.raises(ValidationError):
        of(RoutingPolicy, intents={"code": EXAMPLES[:2]})


@pytest.mark.parametrize(
    "fields", [{"shadow": 0.3}, {"large_share": 1.1}, {"candidates": []}, {"stick_s": 0}, {"least_gain": -2}]
)
def test_numbers_out_of_bounds_are_refused(fields):
    with pytest.raises(ValidationError):
        auto(**fields)


@pytest.mark.parametrize(
    "fields", [{"max_error": 0}, {"max_error": 1}, {"gates": ["smell"]}, {"hold_s": 301}]
)
def test_a_cascade_out_of_bounds_is_refused(fields):
    with pytest.raises(ValidationError):
        of(Cascade, **fields)


def test_a_slow_upstream_must_be_slower_to_be_marked_than_to_come_back():
    with pytest.raises(ValidationError, match="less than slow_factor"):
        of(Latency, slow_factor=2, back_factor=2)


def test_the_first_model_is_the_smallest_of_an_alias_or_the_name_itself():
    policy = of(RoutingPolicy, aliases=auto())
    assert [policy.first(name) for name in ("auto", "large", None)] == ["small", "large", None]
