"""policies/upstreams.yaml: which upstream a model goes to, and what can't be meant."""

import pytest
from pydantic import ValidationError

from penstock import testing
from penstock.policy.base import Finding
from penstock.upstream.policy import Auth, Upstream, UpstreamsPolicy


def upstream(url: str = "http://a.invalid/v1", **models: str) -> Upstream:
    return Upstream(url=url, models=models)


TWO = UpstreamsPolicy(
    default="a", upstreams={"a": upstream(), "b": upstream(fast="fast-2025", slow="slow-1")}
)


@pytest.mark.parametrize(
    ("model", "name"),
    [("fast", "b"), ("slow", "b"), ("fast-2025", "a"), ("unknown", "a"), ("", "a"), (None, "a")],
)
def test_a_model_goes_where_it_is_listed_and_all_others_to_the_default(model: str | None, name: str) -> None:
    assert TWO.choose(model) == (name, TWO.upstreams[name])


def test_a_base_url_loses_its_last_slash_and_nothing_else() -> None:
    assert upstream("https://h:8443/a/{model}/v1/").url == "https://h:8443/a/{model}/v1"


@pytest.mark.parametrize(
    "url",
    [
        "h/v1",
        "ftp://h/v1",
        "http:///v1",
        "http://user@h/v1",
        "http://user:pass@h/v1",
        "http://h/v1?a=1",
        "http://h/v1#a",
        "",
    ],
)
def test_a_url_that_is_no_base_url_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        upstream(url)


def test_a_key_in_the_clear_is_refused_and_not_repeated() -> None:
    with pytest.raises(ValidationError) as problem:
        Auth(key="sk-live-1234")
    assert "never in the clear" in str(problem.value)
    for key in ("client", "env:NAME", "file:/run/secrets/key"):
        assert Auth(key=key).key == key


def test_a_client_key_file_needs_its_certificate() -> None:
    with pytest.raises(ValidationError, match="client_key_file needs a client_cert_file"):
        Upstream(url="https://h/v1", client_key_file="key.pem")


def findings(policy: UpstreamsPolicy) -> list[Finding]:
    return list(policy.check(testing.policies(policy)))


def test_a_default_that_is_missing_is_found_with_what_was_meant() -> None:
    assert findings(UpstreamsPolicy(default="opnai", upstreams={"openai": upstream()})) == [
        Finding(("default",), "no upstream is called 'opnai'", "openai")
    ]


def test_a_model_that_two_upstreams_claim_is_found_at_both_places() -> None:
    claims = {"a": upstream(m="1"), "b": upstream(m="2"), "c": upstream(m="3")}
    found = findings(UpstreamsPolicy(default="a", upstreams=claims))
    assert [finding.loc for finding in found] == [("upstreams", name, "models", "m") for name in "bc"]
    assert {finding.other for finding in found} == {(UpstreamsPolicy, ("upstreams", "a", "models", "m"))}


def test_the_shipped_shape_has_nothing_to_find() -> None:
    assert findings(UpstreamsPolicy()) == []
    assert findings(TWO) == []


def test_another_base_url_moves_the_default_only() -> None:
    moved = TWO.at("http://localhost:11434/v1/")
    assert moved.upstreams["a"].url == "http://localhost:11434/v1"
    assert moved.upstreams["b"] is TWO.upstreams["b"]
    assert TWO.upstreams["a"].url == "http://a.invalid/v1"
    with pytest.raises(ValueError, match="http://HOST"):
        TWO.at("localhost:11434")
