"""Which limits a request stands under, what they are called, and which changed ones count."""

import pytest

from penstock import testing
from penstock.budget.limits import Applied, KnownLimits, limits_of, parse
from penstock.budget.window import Period, Window
from penstock.tenants.policy import Group, Limit, Tenant, TenantsPolicy
from unit.budget.budget_bits import MODELS, applied

TENANT = Tenant(
    limits=(
        Limit(unit="tokens", window="day", limit=1_000),
        Limit(unit="usd", window="month", limit=2.5, model="large"),
        Limit(unit="streams", limit=3),
    ),
    projects={"search": Group(limits=(Limit(unit="tokens", window="day", limit=100),))},
    users={"ada": Group(limits=(Limit(unit="requests", window="minute", limit=10),))},
)
DAY = "tenant/tokens/day/"
LARGE = "tenant/usd/month/large"
STREAMS = "tenant/streams/none/"
SEARCH = "project:search/tokens/day/"
ADA = "user:ada/requests/minute/"


@pytest.mark.parametrize(
    ("project", "user", "models", "keys"),
    [
        ("", "", {"m"}, {DAY, STREAMS}),
        ("", "", {"large"}, {DAY, LARGE, STREAMS}),
        ("", "", {"large-2026-01-01", "large"}, {DAY, LARGE, STREAMS}),
        ("", "", {"m", ""}, {DAY, STREAMS}),
        ("search", "", {"m"}, {DAY, STREAMS, SEARCH}),
        ("search", "ada", {"m"}, {DAY, STREAMS, SEARCH, ADA}),
        ("other", "bob", {"m"}, {DAY, STREAMS}),
        ("search", "ada", None, {DAY, LARGE, STREAMS, SEARCH, ADA}),
    ],
)
def test_the_limits_of_a_request(project: str, user: str, models: set | None, keys: set):
    assert {limit.key for limit in limits_of("acme", TENANT, project, user, models, {})} == keys


def test_a_changed_limit_takes_the_policys_place_or_stands_beside_it():
    overrides = {("acme", DAY): 5, ("acme", ADA): 7, ("acme", "tenant/tokens/total/"): 9, ("globex", DAY): 1}
    found = {limit.key: limit.amount for limit in limits_of("acme", TENANT, "", "", {"m"}, overrides)}
    assert found == {DAY: 5, STREAMS: 3, "tenant/tokens/total/": 9}
    found = {limit.key: limit.amount for limit in limits_of("acme", TENANT, "", "ada", {"m"}, overrides)}
    assert found[ADA] == 7


def test_a_changed_limit_of_a_model_counts_for_that_model():
    overrides = {("acme", LARGE): 5}
    assert all(limit.amount != 5 for limit in limits_of("acme", TENANT, "", "", {"m"}, overrides))
    assert any(limit.amount == 5 for limit in limits_of("acme", TENANT, "", "", {"large"}, overrides))


@pytest.mark.parametrize("key", [DAY, LARGE, STREAMS, SEARCH, ADA, "tenant/usd/total/org/model:7b"])
def test_keys_can_be_read_back(key: str):
    limit = parse(key, 12)
    assert limit is not None
    assert (limit.key, limit.amount) == (key, 12)


@pytest.mark.parametrize("key", ["", "tenant", "tenant/tokens/year/", "tenant/tokens"])
def test_a_key_of_another_version_is_no_limit(key: str):
    assert parse(key, 1) is None
    assert limits_of("acme", Tenant(), "", "", None, {("acme", key): 1}) == ()


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        (applied(window=Window.DAY), "tokens of the day for tenant acme"),
        (
            applied("usd", window=Window.MONTH, model="large"),
            "usd of the month for tenant acme on model large",
        ),
        (applied("requests", window=Window.MINUTE, scope="user:ada"), "requests per minute for user ada"),
        (applied("streams", window=Window.NONE, scope="project:a:b"), "streams at a time for project a:b"),
        (applied(), "tokens in all for tenant acme"),
    ],
)
def test_names(limit: Applied, words: str):
    assert limit.named("acme") == words


def test_accounts_are_one_for_each_period():
    limit = applied(window=Window.DAY)
    first, second = (limit.account(Period(Window.DAY, began, began + 10)) for began in (100.0, 110.0))
    assert first.name != second.name
    assert limit.account(Period(Window.DAY, 100.0, 110.0)) == first
    names = {
        each.account(Period(Window.DAY, 1.0, 2.0)).name
        for each in (limit, applied(window=Window.DAY, model="m"), applied("usd", window=Window.DAY))
    }
    assert len(names) == 3
    changed = applied(window=Window.DAY, amount=7)
    assert changed.account(Period(Window.DAY, 100.0, 110.0)) == first  # a change never resets what was used


@pytest.mark.parametrize(
    ("limit", "share", "warn_from"),
    [
        (applied(amount=1_000), 0.8, 800),
        (applied(amount=3), 0.8, 3),
        (applied(amount=1), 0.5, 1),
        (applied(window=Window.MINUTE), 0.8, None),
        (applied("streams", window=Window.NONE), 0.8, None),
    ],
)
def test_from_when_a_warning_is_due(limit: Applied, share: float, warn_from: int | None):
    assert limit.warn_from(share) == warn_from
    assert limit.rate is (warn_from is None)


def test_money_is_shown_in_dollars():
    assert applied("usd").shown(1_250_001) == "1.250001"
    assert applied().shown(1_250_001) == "1250001"


def known(tenant: Tenant = TENANT):
    return testing.policies(TenantsPolicy(tenants={"acme": tenant}), MODELS)


def test_known_limits_are_kept_until_a_policy_or_a_change_is_new():
    limits, policies, none = KnownLimits(), known(), {}
    first = limits.get(("acme", "search", "ada"), "m", policies, none)
    assert first is not None
    assert {limit.key for limit in first.limits} == {DAY, STREAMS, SEARCH, ADA}
    assert {limit.key for limit in first.countless} == {STREAMS, ADA}
    assert first.metered
    assert limits.get(("acme", "search", "ada"), "m", policies, none) is first
    changed = limits.get(("acme", "search", "ada"), "m", policies, {("acme", DAY): 5})
    assert changed is not None
    assert 5 in {limit.amount for limit in changed.limits}
    emptied = limits.get(("acme", "", ""), "m", known(Tenant()), none)
    assert emptied is not None
    assert (emptied.limits, emptied.metered) == ((), False)
    assert limits.get(("globex", "", ""), "m", policies, none) is None


def test_one_tenants_limits_are_never_anothers():
    limits, policies, none = KnownLimits(), known(), {}
    assert limits.get(("acme", "search", ""), "m", policies, none) != limits.get(
        ("acme", "", "search"), "m", policies, none
    )
    assert limits.get(("acme", "", ""), "large", policies, none) != limits.get(
        ("acme", "", ""), "m", policies, none
    )
