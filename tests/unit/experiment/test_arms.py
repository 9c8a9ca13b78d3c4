"""What an arm sets is read as strictly as the file it is laid over."""

import pytest
from experiment_bits import policies

from penstock.experiment.arms import LOCKED, findings, leaves, merged, with_settings
from penstock.routing.policy import Alias, Candidate, RoutingPolicy
from penstock.stages.cache import CachePolicy
from penstock.tenants.policy import Tenant, TenantsPolicy
from penstock.upstream.policy import Upstream, UpstreamsPolicy

AT = ("experiments", "e", "arms", "a", "set")


def found(settings, base=None):
    """Give (place below the set, message, suggestion) of each finding."""
    its = findings(AT, settings, base or policies())
    return [(each.loc[len(AT) :], each.message, each.suggestion) for each in its]


def test_mappings_are_merged_and_all_else_is_replaced():
    under = {"a": {"x": 1, "y": [1, 2]}, "b": 3}
    assert merged(under, {"a": {"y": [9]}, "b": {"new": 1}, "c": None}) == {
        "a": {"x": 1, "y": [9]},
        "b": {"new": 1},
        "c": None,
    }
    assert under == {"a": {"x": 1, "y": [1, 2]}, "b": 3}


def test_leaves_are_the_paths_that_are_set():
    tree = {"a": {"x": 1, "y": {"z": [1]}}, "b": {}}
    assert list(leaves(tree)) == [("a", "x"), ("a", "y", "z"), ("b",)]


def test_settings_are_laid_over_the_file():
    base = policies(CachePolicy(ttl_s=60.0, max_temperature=0.5))
    live = with_settings(base, [{"cache": {"ttl_s": 600}}, {"cache": {"replay": {"pace": "paced"}}}])
    assert live[CachePolicy].ttl_s == 600
    assert live[CachePolicy].max_temperature == 0.5
    assert live[CachePolicy].replay.pace == "paced"
    assert base[CachePolicy].ttl_s == 60
    assert live[UpstreamsPolicy] is base[UpstreamsPolicy]


def test_an_alias_of_the_router_may_be_set_in_part():
    routing = RoutingPolicy(aliases={"auto": Alias(candidates=(Candidate(model="m"),), decide="scorer")})
    live = with_settings(policies(routing), [{"routing": {"aliases": {"auto": {"large_share": 0.3}}}}])
    alias = live[RoutingPolicy].aliases["auto"]
    assert (alias.large_share, alias.decide, alias.candidates[0].model) == (0.3, "scorer", "m")
    assert found({"routing": {"aliases": {"auto": {"large_share": 0.3}}}}, policies(routing)) == []
    ((where, _, _),) = found({"routing": {"aliases": {"auto": {"large_share": 3}}}}, policies(routing))
    assert where == ("routing", "aliases", "auto", "large_share")
    swapped = {"routing": {"aliases": {"auto": {"candidates": [{"model": "unpriced"}]}}}}
    ((where, said, _),) = found(swapped, policies(routing))
    assert where == ("routing", "aliases", "auto", "candidates", 0, "model")
    assert "unpriced" in said


def test_what_is_no_policy_is_refused():
    with pytest.raises(ValueError, match=r"cache\.yaml.*ttl_s|cache\.yaml: expected"):
        with_settings(policies(), [{"cache": {"ttl_s": "long"}}])


def test_good_settings_have_no_findings():
    assert found({"cache": {"ttl_s": 600, "replay": {"pace": "paced"}}}) == []
    assert found({}) == []


@pytest.mark.parametrize(
    ("settings", "loc", "message", "suggestion"),
    [
        ({"cache": {"ttl": 600}}, ("cache", "ttl"), "unknown key 'ttl'", "ttl_s"),
        ({"cache": {"replay": {"pase": "x"}}}, ("cache", "replay", "pase"), "unknown key 'pase'", "pace"),
        (
            {"cache": {"replay": {"pace": "pased"}}},
            ("cache", "replay", "pace"),
            "expected 'at_once'",
            "paced",
        ),
        ({"cache": {"ttl_s": -1}}, ("cache", "ttl_s"), "expected a number of seconds above 0", None),
        ({"cahce": {"ttl_s": 600}}, ("cahce",), "there is no policy cahce.yaml", "cache"),
        ({"upstreams": {"default": "fale"}}, ("upstreams", "default"), "no upstream is called", "fake"),
        ({"upstreams": {"upstreams": {}}}, ("upstreams", "upstreams"), "addresses and keys", None),
        ({"routing": {"learn": {}}}, ("routing", "learn"), "learned for everyone at once", None),
        ({"routing": {"intents": {"code": ["x"]}}}, ("routing", "intents", "code"), "at least 3", None),
        ({"routing": {"alias": {}}}, ("routing", "alias"), "unknown key 'alias'", "aliases"),
    ],
)
def test_what_is_wrong_is_found_at_its_place(settings, loc, message, suggestion):
    ((where, said, meant),) = found(settings)
    assert where == loc
    assert message in said
    assert meant == suggestion


@pytest.mark.parametrize("file", sorted(LOCKED))
def test_an_arm_may_not_touch_who_pays_and_what_is_private(file):
    ((where, said, _),) = found({file: {"on_failure": "skip"}})
    assert where == (file,)
    assert said.startswith(f"no arm may set {file}.yaml: ")


def test_a_key_that_the_file_sets_is_suggested_all_the_same():
    base = policies(CachePolicy(ttl_s=60.0, max_temperature=0.5))
    ((where, _, meant),) = found({"cache": {"tll_s": 600}}, base)
    assert (where, meant) == (("cache", "tll_s"), "ttl_s")
    ((_, _, meant),) = found({"cache": {"tll_s": 600, "ttl_s": 5}}, base)
    assert meant is None  # it is set here already


def test_all_is_told_at_once():
    assert len(found({"cache": {"ttl": 1, "max_temperatur": 2}, "tenants": {}, "nothing": {}})) == 4


def test_what_another_file_finds_is_told_at_the_arm():
    """A tenant's policy looks at the upstreams, too."""
    upstreams = UpstreamsPolicy(
        default="own",
        upstreams={
            "own": Upstream(url="http://a.invalid/v1", models={"m": "m"}),
            "other": Upstream(url="http://b.invalid/v1"),
        },
    )
    base = policies(upstreams, TenantsPolicy(tenants={"acme": Tenant()}))
    before = list(base[TenantsPolicy].check(base))
    assert before  # its own findings are its own; the arm adds none
    assert found({"upstreams": {"default": "other"}}, base) == []


def test_the_findings_of_a_merged_policy_keep_their_own_path():
    upstreams = UpstreamsPolicy(default="gone", upstreams={"own": Upstream(url="http://a.invalid/v1")})
    assert found({"cache": {"ttl_s": 5}}, policies(upstreams)) == []
    ((where, _, meant),) = found({"upstreams": {"default": "owm"}}, policies(upstreams))
    assert where == ("upstreams", "default")
    assert meant == "own"
