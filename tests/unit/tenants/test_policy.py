"""tenants.yaml: what it takes, what it makes of it, and what it says of mistakes."""

import zoneinfo
from datetime import UTC
from pathlib import Path

import pytest

from penstock.policy.load import load
from penstock.policy.problems import PolicyProblems
from penstock.tenants.policy import Limit, TenantsPolicy, zone_of
from penstock.upstream.policy import UpstreamsPolicy

UPSTREAMS = """\
default: openai
upstreams:
  openai: {url: "https://api.openai.com/v1", auth: {key: "env:OPENAI_API_KEY"}}
"""
WHOLE = """\
defaults:
  timezone: America/New_York
  limits: [{unit: requests, window: minute, limit: 60}]
tenants:
  acme:
    timezone: Europe/Warsaw
    models: [gpt-4o-mini, gpt-4o]
    limits:
      - {unit: tokens, window: day, limit: 200000}
      - {unit: usd, window: month, limit: 50.00}
      - {unit: usd, window: month, limit: 5.00, model: gpt-4o}
      - {unit: streams, limit: 8}
    projects:
      search: {models: [gpt-4o-mini], limits: [{unit: usd, window: total, limit: 10}]}
    users:
      ada@example.org: {limits: []}
    hard_stop: 403
    degrade: {from_share: 0.9, model: gpt-4o-mini}
  small: {}
  quiet: {limits: []}
"""


def read(folder: Path, text: str, upstreams: str = UPSTREAMS) -> TenantsPolicy:
    (folder / "tenants.yaml").write_text(text, encoding="utf-8")
    (folder / "upstreams.yaml").write_text(upstreams, encoding="utf-8")
    return load(folder, [UpstreamsPolicy, TenantsPolicy])[TenantsPolicy]


def test_the_example_of_the_docs_is_a_good_policy(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "tenants.md").read_text(encoding="utf-8")
    example = page.partition("```yaml\n")[2].partition("```")[0]
    assert set(read(tmp_path, example).tenants) == {"acme"}


def refused(folder: Path, text: str, upstreams: str = UPSTREAMS) -> str:
    with pytest.raises(PolicyProblems) as problems:
        read(folder, text, upstreams)
    return str(problems.value).replace(f"{folder}/", "")


def limits(*lines: str) -> str:
    return "\n".join(["tenants:", "  acme:", "    limits:", *(f"      - {line}" for line in lines)]) + "\n"


def test_everything_that_may_stand_there_is_read(tmp_path: Path) -> None:
    policy = read(tmp_path, WHOLE)
    acme = policy.tenants["acme"]
    assert [(limit.unit, limit.window, limit.amount, limit.model) for limit in acme.limits] == [
        ("tokens", "day", 200_000, None),
        ("usd", "month", 50_000_000, None),
        ("usd", "month", 5_000_000, "gpt-4o"),
        ("streams", None, 8, None),
    ]
    assert acme.projects["search"].models == ("gpt-4o-mini",)
    assert acme.users["ada@example.org"].limits == ()
    assert acme.hard_stop == 403
    assert acme.degrade is not None
    assert (acme.degrade.from_share, acme.degrade.model) == (0.9, "gpt-4o-mini")
    assert not policy.open


def test_a_tenant_has_the_defaults_where_it_says_nothing_and_only_there(tmp_path: Path) -> None:
    policy = read(tmp_path, WHOLE)
    acme, small, quiet = (policy.tenant(name) for name in ("acme", "small", "quiet"))
    assert acme is not None
    assert small is not None
    assert quiet is not None
    assert [str(each.zone) for each in (acme, small, quiet)] == [
        "Europe/Warsaw",
        "America/New_York",
        "America/New_York",
    ]
    assert [len(each.limits) for each in (acme, small, quiet)] == [4, 1, 0]
    assert small.limits == policy.defaults.limits
    assert policy.tenant("nobody") is None


def test_without_tenants_the_gateway_is_open(tmp_path: Path) -> None:
    assert read(tmp_path, "tenants: {}\n").open
    assert read(tmp_path, "").open
    assert TenantsPolicy().open


@pytest.mark.parametrize(
    ("limit", "amount"), [(1, 1_000_000), (0.1, 100_000), (0.000001, 1), (4.35, 4_350_000), (1e9, 10**15)]
)
def test_money_is_kept_in_whole_micro_dollars(limit: float, amount: int) -> None:
    assert Limit(unit="usd", window="day", limit=limit).amount == amount


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{unit: streams, window: day, limit: 1}", "a limit of streams has no window"),
        ("{unit: tokens, limit: 1}", "a limit of tokens needs a window: minute, day, month or total"),
        ("{unit: tokens, window: day, limit: 1.5}", "a limit of tokens is a whole number"),
        ("{unit: usd, window: day, limit: 0.0000001}", "a limit of usd has at most 6 decimals"),
        ("{unit: usd, window: day, limit: 1000000000.5}", "a limit of usd is at most 1000000000"),
        ("{unit: requests, window: day, limit: 1000000000000001}", "is at most 1000000000000000"),
        (
            "{unit: tokens, window: day, limit: 0}",
            "expected a whole number above 0 or a number above 0, got 0",
        ),
        ("{unit: tokens, window: day, limit: -3}", "got -3"),
        ("{unit: tokens, window: day, limit: true}", "got true"),
        ("{unit: tokens, window: week, limit: 1}", "expected 'minute' or 'day' or 'month' or 'total'"),
        ("{unit: euros, window: day, limit: 1}", "expected 'tokens' or 'requests' or 'usd' or 'streams'"),
        ("{unit: tokens, window: day}", "missing key 'limit'"),
        ("{unit: tokens, window: day, limit: 1, model: ''}", "got ''"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_where_it_stands(
    tmp_path: Path, line: str, message: str
) -> None:
    said = refused(tmp_path, limits(line))
    assert said.startswith("tenants.yaml:4:")
    assert message in said


def test_a_typo_is_shown_with_what_was_meant(tmp_path: Path) -> None:
    assert refused(tmp_path, "tenants:\n  acme:\n    time_zone: UTC\n") == (
        "tenants.yaml:3:5: tenants.acme: unknown key 'time_zone'\n"
        "     3 |     time_zone: UTC\n"
        "       |     ^^^^^^^^^\n"
        "       = did you mean 'timezone'?"
    )


@pytest.mark.parametrize("name", ["-acme", "a b", "a/b", "łódź", "x" * 65, "''", "a\\n"])
def test_a_name_that_the_audit_trail_can_not_hold_is_refused(tmp_path: Path, name: str) -> None:
    for text in (f"tenants:\n  {name}: {{}}\n", f"tenants:\n  acme:\n    users:\n      {name}: {{}}\n"):
        assert "must match" in refused(tmp_path, text)


def test_a_wrong_time_zone_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    said = refused(tmp_path, "tenants:\n  acme:\n    timezone: Europe/warsw\n")
    assert said.startswith(
        "tenants.yaml:3:15: tenants.acme.timezone: no time zone is called 'Europe/warsw'\n"
    )
    assert "did you mean 'Europe/Warsaw'?" in said
    assert "defaults.timezone" in refused(tmp_path, "defaults: {timezone: CEST}\n")


@pytest.mark.parametrize("name", ["Europe", "../UTC", "/etc/passwd", "", "a" * 300, "UTC\\0"])
def test_what_is_no_zone_at_all_is_refused_as_well(tmp_path: Path, name: str) -> None:
    assert "no time zone is called" in refused(tmp_path, f'tenants:\n  acme:\n    timezone: "{name}"\n')


def test_a_machine_without_zones_says_so_and_knows_utc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(name: str) -> None:
        raise zoneinfo.ZoneInfoNotFoundError(name)

    monkeypatch.setattr("penstock.tenants.policy.ZoneInfo", none)
    monkeypatch.setattr("penstock.tenants.policy.available_timezones", set)
    said = refused(tmp_path, "tenants:\n  acme:\n    timezone: Europe/Warsaw\n")
    assert "this machine has no time zones but UTC; install its package tzdata" in said
    assert read(tmp_path, "tenants:\n  acme:\n    timezone: UTC\n").tenants["acme"].zone is UTC


def test_a_zone_of_no_name_is_a_lookup_error() -> None:
    with pytest.raises(LookupError):
        zone_of("Nowhere/Town")


def test_a_second_limit_of_the_same_kind_is_refused_with_both_places(tmp_path: Path) -> None:
    said = refused(
        tmp_path,
        limits("{unit: tokens, window: day, limit: 1}", "{unit: tokens, window: day, limit: 2}"),
    )
    assert said.startswith("tenants.yaml:5:9: tenants.acme.limits[1]: this unit, window and model already")
    assert "= see tenants.yaml:4:9" in said


def test_limits_that_differ_in_one_of_the_three_stand_beside_each_other(tmp_path: Path) -> None:
    policy = read(
        tmp_path,
        limits(
            "{unit: tokens, window: day, limit: 1}",
            "{unit: tokens, window: month, limit: 1}",
            "{unit: requests, window: day, limit: 1}",
            "{unit: tokens, window: day, limit: 1, model: m}",
        ),
    )
    assert len(policy.tenants["acme"].limits) == 4


@pytest.mark.parametrize(
    ("line", "where"),
    [
        ("projects: {search: {models: [gpt-4]}}", "tenants.acme.projects.search.models[0]"),
        ("users: {ada: {models: [gpt-4o, gpt-4]}}", "tenants.acme.users.ada.models[1]"),
        ("degrade: {from_share: 0.5, model: gpt-4}", "tenants.acme.degrade.model"),
        ("limits: [{unit: usd, window: day, limit: 1, model: gpt-4}]", "tenants.acme.limits[0].model"),
        (
            "users: {ada: {models: [mini], limits: [{unit: streams, limit: 1, model: gpt-4o}]}}",
            "tenants.acme.users.ada.limits[0].model",
        ),
    ],
)
def test_a_model_that_the_tenant_may_not_use_is_refused_below_it(
    tmp_path: Path, line: str, where: str
) -> None:
    said = refused(tmp_path, f"tenants:\n  acme:\n    models: [gpt-4o, mini]\n    {line}\n")
    assert f"{where}: '" in said
    assert "is not among the models that are allowed here" in said


def test_an_empty_list_of_models_is_a_mistake(tmp_path: Path) -> None:
    assert "at least 1 item" in refused(tmp_path, "tenants: {acme: {models: []}}\n")


@pytest.mark.parametrize(("share", "good"), [("0", True), ("1", True), ("1.1", False), ("-0.1", False)])
def test_a_share_is_between_nothing_and_all(tmp_path: Path, share: str, good: bool) -> None:
    text = f"tenants: {{acme: {{degrade: {{from_share: {share}, model: m}}}}}}\n"
    if good:
        read(tmp_path, text)
    else:
        assert "from 0 to 1" in refused(tmp_path, text)


def test_an_upstream_that_wants_the_clients_key_can_not_have_it_with_tenants(tmp_path: Path) -> None:
    clients = 'default: a\nupstreams:\n  a:\n    url: "http://x.invalid/v1"\n    auth:\n      key: client\n'
    said = refused(tmp_path, "tenants:\n  acme: {}\n", clients)
    assert said.startswith("tenants.yaml:1:1: tenants: with tenants, clients' keys are ours")
    assert "= see upstreams.yaml:6:12" in said
    assert read(tmp_path, "tenants: {}\n", clients).open
    none = clients.replace("key: client", "style: none")
    assert not read(tmp_path, "tenants:\n  acme: {}\n", none).open


def test_the_default_upstream_wants_it_too(tmp_path: Path) -> None:
    assert "'openai' needs a key" in refused(tmp_path, "tenants:\n  acme: {}\n", "")


@pytest.mark.parametrize(
    ("project", "user", "known"),
    [
        ("", "", True),
        ("search", "", True),
        ("search", "ada@example.org", True),
        ("gone", "", False),
        ("", "x", False),
    ],
)
def test_a_tenant_knows_its_projects_and_users(tmp_path: Path, project: str, user: str, known: bool) -> None:
    tenant = read(tmp_path, WHOLE).tenants["acme"]
    assert tenant.has(project, user) is known


def test_scopes_are_those_that_list_models(tmp_path: Path) -> None:
    policy = read(tmp_path, WHOLE)
    assert policy.tenants["acme"].scopes("search", "ada@example.org") == [
        ("the tenant", ("gpt-4o-mini", "gpt-4o")),
        ("project search", ("gpt-4o-mini",)),
    ]
    assert policy.tenants["small"].scopes("", "") == []
