"""Who can answer at all, and which rule holds."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from multidict import CIMultiDict
from routing_house import PRICED, alias, of

from penstock import testing
from penstock.models.policy import Model, ModelsPolicy
from penstock.routing.choose import Asking, able, chosen, ruled
from penstock.routing.policy import Rule

MODELS = ModelsPolicy(
    models={
        "text": Model(**PRICED, context_tokens=1_000, abilities=()),
        "tools": Model(**PRICED, context_tokens=2_000, abilities=("tools", "json_schema")),
        "all": Model(**PRICED, context_tokens=50_000),
    }
)
ITS = alias("text", "tools", "all")
NOON = datetime(2027, 1, 15, 12, 0, tzinfo=UTC)


def can(content="hello", **body):
    body = {"model": "auto", "messages": [{"role": "user", "content": content}], **body}
    return [each.model for each in able(ITS, testing.exchange(body=body).request, MODELS)]


def test_who_can_answer():
    tools = [{"type": "function", "function": {"name": "f"}}]
    image = [{"type": "image_url", "image_url": {"url": "https://x.invalid/a.png"}}]
    assert can() == ["text", "tools", "all"]
    assert can(tools=tools) == ["tools", "all"]
    assert can(response_format={"type": "json_schema", "json_schema": {}}) == ["tools", "all"]
    assert can(image) == ["all"]
    assert can("x" * 6_000) == ["tools", "all"]
    assert can("x" * 60_000) == ["all"]


def test_where_nobody_is_known_to_be_able_all_are_asked():
    assert can("x" * 400_000) == ["text", "tools", "all"]


def test_a_model_without_an_entry_is_left_out():
    its = alias("unheard", "all")
    assert [each.model for each in able(its, testing.exchange().request, MODELS)] == ["all"]


def test_only_one_that_is_not_the_largest_has_a_larger_one():
    told = {name: chosen(ITS.candidates, name, "why") for name in ("text", "tools", "all", "other")}
    assert {name: choice.larger and choice.larger.model for name, choice in told.items() if choice} == {
        "text": "all",
        "tools": "all",
        "all": None,
    }
    assert told["other"] is None


def holds(rule, at=NOON, zone=UTC, tenant="acme", intent=None, headers=None, tokens=100):
    asking = Asking(tenant, intent, CIMultiDict(headers or {}), tokens, at.timestamp(), zone)
    return ruled([of(Rule, use="all", **rule)], asking) == (1, "all")


@pytest.mark.parametrize(
    ("rule", "asked", "other"),
    [
        ({"intent": ["code", "maths"]}, {"intent": "maths"}, {"intent": "chat"}),
        ({"intent": ["code"]}, {"intent": "code"}, {"intent": None}),
        ({"tenant": ["acme"]}, {"tenant": "acme"}, {"tenant": "globex"}),
        ({"header": {"x-tier": "gold"}}, {"headers": {"X-Tier": "gold"}}, {"headers": {"x-tier": "lead"}}),
        ({"header": {"x-tier": "gold"}}, {"headers": {"X-Tier": "gold"}}, {}),
        ({"longer_than_tokens": 100}, {"tokens": 101}, {"tokens": 100}),
        (
            {"tenant": ["acme"], "longer_than_tokens": 10},
            {"tokens": 11},
            {"tenant": "globex", "tokens": 11},
        ),
    ],
)
def test_all_that_a_rule_says_must_hold(rule, asked, other):
    assert holds(rule, **asked)
    assert not holds(rule, **other)


def test_a_rule_that_says_nothing_always_holds():
    assert holds({})


@pytest.mark.parametrize(
    ("hours", "within", "outside"),
    [
        ("08:00-18:00", ["08:00", "12:30", "17:59"], ["07:59", "18:00", "23:00"]),
        ("22:00-06:00", ["22:00", "23:59", "00:00", "05:59"], ["06:00", "12:00", "21:59"]),
        ("00:00-00:00", [], ["00:00", "12:00"]),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/New_York"])
def test_hours_go_by_the_tenants_clock_also_over_midnight(hours, within, outside, zone):
    for clock in (*within, *outside):
        hour, minute = map(int, clock.split(":"))
        at = datetime(2027, 7, 1, hour, minute, tzinfo=ZoneInfo(zone))
        assert holds({"hours": hours}, at=at, zone=ZoneInfo(zone)) == (clock in within), clock


def test_hours_are_not_those_of_another_zone():
    berlin = ZoneInfo("Europe/Berlin")
    assert holds({"hours": "12:00-12:30"}, at=NOON, zone=UTC)
    assert not holds({"hours": "12:00-12:30"}, at=NOON, zone=berlin)
    assert holds({"hours": "12:00-12:30"}, at=NOON - timedelta(hours=1), zone=berlin)


def test_the_first_rule_that_holds_decides():
    rules = [of(Rule, tenant=["globex"], use="text"), of(Rule, use="tools"), of(Rule, use="all")]
    asking = Asking("acme", None, CIMultiDict(), 1, NOON.timestamp(), UTC)
    assert ruled(rules, asking) == (2, "tools")
    assert ruled(rules[:1], asking) is None
