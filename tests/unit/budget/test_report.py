"""The desk on a real SQLite ledger: what it shows, what it changes, and what it foresees."""

import logging
from contextlib import asynccontextmanager
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from penstock.budget.changed import TABLE, ChangedLimits
from penstock.budget.limits import Applied
from penstock.budget.report import Desk, Row, forecast
from penstock.budget.told import Stand
from penstock.budget.window import Window, period
from penstock.errors import Refusal
from penstock.stores.keyring import Keyring
from penstock.stores.ledger import Grant, Line, Standing
from penstock.stores.sqlite_ledger import SqliteLedger
from penstock.stores.sqlite_records import SqliteRecords
from penstock.tenants.policy import TenantsPolicy
from penstock.testing import FrozenClock

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2027, 3, 10, 12, tzinfo=BERLIN).timestamp()
HOUR = 3600
DAY = 86_400
TENANTS = TenantsPolicy.model_validate_json("""{
    "tenants": {
        "acme": {
            "timezone": "Europe/Berlin",
            "models": ["gpt-4o", "small"],
            "limits": [
                {"unit": "tokens", "window": "day", "limit": 10000},
                {"unit": "usd", "window": "month", "limit": 12.5},
                {"unit": "tokens", "window": "total", "limit": 500000, "model": "gpt-4o"},
                {"unit": "streams", "limit": 4}
            ],
            "projects": {
                "search": {"limits": [{"unit": "requests", "window": "minute", "limit": 60}]},
                "chat": {"models": ["small"]}
            },
            "users": {"eve": {"limits": [{"unit": "requests", "window": "day", "limit": 100}]}}
        },
        "globex": {}
    }
}""")


class Office:
    """A desk, and what stands behind it."""

    def __init__(self, ledger, records, keyring):
        self.clock = FrozenClock(NOON)
        self.ledger = ledger
        self.records = records
        self.changed = ChangedLimits(records, keyring)

    def desk(self, tenant="acme", tenants=TENANTS):
        return Desk(tenant, tenants, self.changed, self.ledger, "a test", self.clock)

    async def use(
        self, amount, *, key="tenant/tokens/day/", ago=0.0, lasts_s=60.0, settled=True, tenant="acme"
    ):
        """Charge, or hold, so much of a limit as its stage would."""
        now = self.clock.now() - ago
        limit = self.desk(tenant).limits()[key]
        line = Line(limit.account(period(limit.window, now, BERLIN)), 10**12, amount)
        given = {"tokens": 0, "least": 0, "now": now, "expires_at": now + lasts_s}
        granted = await self.ledger.reserve(tenant, f"{now}{key}{amount}", [line], **given)
        assert isinstance(granted, Grant)
        if settled:
            await self.ledger.settle(tenant, f"{now}{key}{amount}", [(line, amount)], now=now)

    async def row(self, key="tenant/tokens/day/"):
        return {row.limit.key: row for row in await self.desk().standings()}[key]

    async def foreseen(self, key="tenant/tokens/day/"):
        return {each.row.limit.key: each for each in await self.desk().forecasts()}[key]


@asynccontextmanager
async def opened(folder):
    folder.mkdir(exist_ok=True)
    ledger = await SqliteLedger.open(folder / "ledger.db", 20)
    records = await SqliteRecords.open(folder / "ledger.db", 20)
    try:
        yield Office(ledger, records, Keyring.in_folder(folder))
    finally:
        await records.close()
        await ledger.close()


@pytest.fixture
async def office(tmp_path):
    async with opened(tmp_path) as made:
        yield made


def row(used, amount=1000, window=Window.DAY, now=NOON):
    limit = Applied("tenant", "tokens", window, amount)
    return Row(Stand(limit, period(window, now, BERLIN), Standing(used)), BERLIN, amount, False)


async def test_every_limit_of_a_tenant_its_projects_and_its_users_is_shown(office):
    told = office.desk().told(await office.desk().standings())
    assert (told["tenant"], told["timezone"]) == ("acme", "Europe/Berlin")
    assert told["at"] == "2027-03-10T12:00:00+01:00"
    named = [(each["scope"], each["unit"], each["window"], each["model"]) for each in told["limits"]]
    assert named == [
        ("tenant", "tokens", "day", None),
        ("tenant", "usd", "month", None),
        ("tenant", "tokens", "total", "gpt-4o"),
        ("tenant", "streams", None, None),
        ("project:search", "requests", "minute", None),
        ("user:eve", "requests", "day", None),
    ]


async def test_a_row_says_what_is_used_held_and_left(office):
    await office.use(2500)
    await office.use(1000, settled=False)
    told = (await office.row()).told()
    named = {"scope": "tenant", "unit": "tokens", "window": "day", "model": None}
    counted = {"used": 2500, "reserved": 1000, "expired": 0, "limit": 10000, "left": 6500, "share": 0.25}
    times = {"began": "2027-03-10T00:00:00+01:00", "resets_at": "2027-03-11T00:00:00+01:00"}
    assert told == {**named, **counted, **times, "source": "policy", "policy_limit": 10000}


async def test_what_a_crash_left_behind_is_used_and_told(office):
    await office.use(700, settled=False, lasts_s=30)
    await office.use(300)
    office.clock.advance(31)
    told = (await office.row()).told()
    assert (told["used"], told["reserved"], told["expired"], told["left"]) == (1000, 0, 700, 9000)


async def test_money_is_told_in_dollars(office):
    await office.use(3_125_001, key="tenant/usd/month/")
    told = (await office.row("tenant/usd/month/")).told()
    assert (told["used"], told["limit"], told["left"], told["share"]) == (3.125001, 12.5, 9.374999, 0.25)


async def test_what_never_resets_has_no_times(office):
    for key in ("tenant/tokens/total/gpt-4o", "tenant/streams/none/"):
        told = (await office.row(key)).told()
        assert (told["began"], told["resets_at"]) == (None, None)


@pytest.mark.parametrize(
    ("used", "share"), [(9999, 0.9999), (10000, 1.0), (2900, 0.29), (0, 0.0), (1, 0.0001)]
)
async def test_a_share_is_full_only_when_all_is_used(office, used, share):
    if used:
        await office.use(used)
    assert (await office.row()).told()["share"] == share
    assert row(99_999, 100_000).told()["share"] < 1


async def test_a_window_that_is_over_is_not_shown(office):
    await office.use(2500, ago=13 * HOUR)
    assert (await office.row()).told()["used"] == 0


async def test_other_tenants_are_not_shown(office):
    await office.use(2500)
    assert await office.desk("globex").standings() == []


async def test_a_change_applies_and_keeps_what_was_used(office, caplog):
    caplog.set_level(logging.INFO, "penstock.budget")
    await office.use(2500)
    desk = office.desk()
    before, after = await desk.set(desk.limit("tenant", "tokens", "day", None, 5000))
    assert (before.told()["limit"], before.told()["source"]) == (10000, "policy")
    now = (await office.row()).told()
    assert after.told() == now
    assert (now["limit"], now["source"], now["policy_limit"]) == (5000, "changed", 10000)
    assert (now["used"], now["share"]) == (2500, 0.5)
    assert caplog.messages == [
        "a test set the limit of tokens of the day for tenant acme: "
        "before 10000 (policy), after 5000 (changed)"
    ]


async def test_a_change_is_what_others_read(office, tmp_path):
    desk = office.desk()
    await desk.set(desk.limit("user:eve", "requests", "day", None, 7))
    async with opened(tmp_path) as other:
        assert other.desk().limits()["user:eve/requests/day/"].amount == 100
        await other.changed.look()
        assert other.desk().limits()["user:eve/requests/day/"].amount == 7


async def test_a_limit_that_the_policy_does_not_have_is_added_and_removed(office):
    desk = office.desk()
    before, after = await desk.set(desk.limit("project:chat", "usd", "day", "small", 0.25))
    assert before is None
    assert (after.told()["limit"], after.told()["policy_limit"]) == (0.25, None)
    await office.use(1000, key="project:chat/usd/day/small")
    gone, nothing = await desk.forget(desk.existing("project:chat", "usd", "day", "small"))
    assert (gone.told()["used"], nothing) == (0.001, None)
    assert "project:chat/usd/day/small" not in desk.limits()


async def test_forgetting_a_change_brings_the_policy_back(office, caplog):
    caplog.set_level(logging.INFO, "penstock.budget")
    desk = office.desk()
    await desk.set(desk.limit("tenant", "usd", "month", None, 20))
    await office.use(1_000_000, key="tenant/usd/month/")
    before, after = await desk.forget(desk.existing("tenant", "usd", "month", None))
    assert (before.told()["limit"], after.told()["limit"], after.told()["source"]) == (20.0, 12.5, "policy")
    assert after.told()["used"] == 1.0
    assert caplog.messages[1].endswith("before 20.000000 (changed), after 12.500000 (policy)")
    assert await desk.forget(desk.existing("tenant", "usd", "month", None)) is None
    assert len(caplog.messages) == 2


async def test_a_reset_clears_what_is_used_and_keeps_what_is_held(office, caplog):
    caplog.set_level(logging.INFO, "penstock.budget")
    await office.use(2500)
    await office.use(1000, settled=False)
    await office.use(9, key="user:eve/requests/day/")
    desk = office.desk()
    ((before, after),) = await desk.reset([desk.existing("tenant", "tokens", "day", None)])
    assert (before.told()["used"], before.told()["reserved"]) == (2500, 1000)
    assert (after.told()["used"], after.told()["reserved"], after.told()["left"]) == (0, 1000, 9000)
    assert (await office.row("user:eve/requests/day/")).told()["used"] == 9
    assert caplog.messages == [
        "a test reset the use of the limit of tokens of the day for tenant acme: "
        "before 2500 used, after 0 used"
    ]


async def test_a_reset_of_crashes_too(office):
    await office.use(700, settled=False, lasts_s=30)
    office.clock.advance(31)
    desk = office.desk()
    ((before, after),) = await desk.reset([desk.existing("tenant", "tokens", "day", None)])
    assert (before.told()["expired"], after.told()["expired"], after.told()["used"]) == (700, 0, 0)


async def test_a_change_of_another_keyring_does_not_count(office, caplog):
    key = "acme/tenant/tokens/day/"
    sealed = Keyring(b"x" * 32).seal("limits", b"999999", key.encode())
    await office.records.put(TABLE, {key: sealed})
    await office.changed.look()
    assert (await office.row()).told()["limit"] == 10000
    assert "does not count" in caplog.text


@pytest.mark.parametrize(
    ("named", "param", "told"),
    [
        (("tenant", "token", "day", None, 1), "unit", "there is no unit 'token'. Did you mean 'tokens'?"),
        (("tenant", "tokens", "days", None, 1), "window", "there is no window 'days'. Did you mean 'day'?"),
        (("tenant", "tokens", None, None, 1), "limit", "needs a window"),
        (("tenant", "streams", "day", None, 1), "limit", "a limit of streams has no window"),
        (("tenant", "tokens", "day", None, 1.5), "limit", "a limit of tokens is a whole number"),
        (("tenant", "usd", "day", None, 0.0000001), "limit", "at most 6 decimals"),
        (("tenant", "usd", "day", None, 1e300), "limit", "is at most"),
        (("tenant", "tokens", "day", None, 0), "limit", "greater than 0"),
        (("tenant", "tokens", "day", None, -5), "limit", "greater than 0"),
        (("tenant", "tokens", "day", None, 10**16), "limit", "is at most"),
        (("tenant", "tokens", "day", "", 1), "model", "at least 1"),
        (("tenant", "tokens", "day", "gpt4o", 1), "model", "Did you mean 'gpt-4o'?"),
        (("project:chat", "tokens", "day", "gpt-4o", 1), "model", "may not use the model 'gpt-4o'"),
        (("tenant", "tokens", "day", "a\nb", 1), "model", "control characters"),
        (("tenant", "tokens", "day", "\udcff", 1), "model", "control characters"),
        (("everyone", "tokens", "day", None, 1), "scope", "'project:NAME'"),
        (("", "tokens", "day", None, 1), "scope", "'project:NAME'"),
    ],
)
def test_what_is_no_limit_is_refused_with_the_reason(office, named, param, told):
    with pytest.raises(Refusal) as refused:
        office.desk().limit(*named)
    assert (refused.value.status, refused.value.param) == (400, param)
    assert told in refused.value.message


@pytest.mark.parametrize(
    ("scope", "told"),
    [
        ("project:serach", "There is no project of acme called 'serach'. Did you mean 'search'?"),
        ("user:", "There is no user of acme called ''."),
        ("user:search", "There is no user of acme called 'search'."),
    ],
)
def test_an_unknown_scope(office, scope, told):
    with pytest.raises(Refusal) as refused:
        office.desk().limit(scope, "tokens", "day", None)
    assert (refused.value.status, refused.value.code) == (404, "scope_not_found")
    assert refused.value.message == told


def test_an_unknown_tenant(office):
    with pytest.raises(Refusal) as refused:
        office.desk("acne")
    assert (refused.value.status, refused.value.code) == (404, "tenant_not_found")
    assert refused.value.message == "There is no tenant called 'acne'. Did you mean 'acme'?"


def test_a_limit_that_is_not_there(office):
    with pytest.raises(Refusal) as refused:
        office.desk().existing("tenant", "usd", "day", None)
    assert (refused.value.status, refused.value.code) == (404, "limit_not_found")
    assert "'tenant/usd/day'. Did you mean 'tenant/tokens/day'?" in refused.value.message


def test_none_is_a_word_for_no_window(office):
    assert office.desk().existing("tenant", "streams", "none", None).amount == 4


@pytest.mark.parametrize(
    ("used", "hours", "previous", "expected"),
    [
        (400, 12, [], 800),  # the pace alone
        (250, 6, [], 1000),
        (400, 12, [800], 800),
        (400, 12, [1600], 1000),  # 400 + 1/2 (400 + 1/2 1600)
        (400, 12, [0, 1600], 800),
        (100, 6, [1000, 3000], 1300),  # 100 + 3/4 (100 + 3/4 2000)
        (900, 24 - 1 / 3600, [90_000], 900),  # at the end, only what is used counts
    ],
)
def test_a_forecast_blends_the_pace_with_earlier_windows(used, hours, previous, expected):
    day = period(Window.DAY, NOON, BERLIN)
    found = forecast(row(used, 10**9), previous, day.began + hours * HOUR)
    assert found.expected == expected
    assert found.outcome == "within"


def test_when_the_limit_is_reached():
    found = forecast(row(400, 600), [], NOON)  # 33⅓ an hour, 200 more
    assert (found.outcome, found.expected) == ("will_be_reached", 800)
    assert found.told()["reached_at"] == "2027-03-10T18:00:00+01:00"


@pytest.mark.parametrize(("amount", "outcome"), [(800, "will_be_reached"), (801, "within")])
def test_a_limit_is_reached_by_its_last_token(amount, outcome):
    assert forecast(row(400, amount), [], NOON).outcome == outcome


def test_a_limit_that_is_used_up_is_reached_whatever_comes():
    for now in (NOON, NOON - 12 * HOUR + 1):
        found = forecast(row(1000), [], now)
        assert (found.outcome, found.told()["reached_at"]) == ("reached", None)


@pytest.mark.parametrize(
    ("made", "now", "reason"),
    [
        (row(10), NOON - 12 * HOUR + 0.019 * DAY, "less than 2 % of the window has passed"),
        (row(0), NOON, "nothing is used yet"),
        (row(10, window=Window.TOTAL), NOON, "it has no window that ends"),
        (row(0, window=Window.NONE), NOON, "it has no window that ends"),
    ],
)
def test_no_forecast_and_why(made, now, reason):
    found = forecast(made, [], now)
    assert (found.outcome, found.expected, found.reason) == ("unknown", None, reason)
    assert found.told()["expected"] is None
    assert forecast(row(10), [], NOON - 12 * HOUR + 0.021 * DAY).outcome == "within"


@pytest.mark.parametrize(
    ("day", "hours"), [((2027, 3, 28), 23), ((2027, 10, 31), 25), ((2027, 6, 1), 24)], ids=str
)
def test_a_day_is_as_long_as_it_is(day, hours):
    began = datetime(*day, tzinfo=BERLIN).timestamp()
    found = forecast(row(100, now=began), [], began + hours * HOUR / 4)
    assert (found.told()["elapsed"], found.expected) == (0.25, 400)


async def test_a_forecast_knows_the_earlier_days(office):
    for days, amount in ((1, 3000), (2, 0), (3, 6000), (29, 900_000)):
        if amount:
            await office.use(amount, ago=days * DAY)
    await office.use(1000)
    found = await office.foreseen()
    assert found.previous == [3000, 0, 6000]  # none before the first that was used; the 29th is too far back
    assert found.expected == 1000 + round(0.5 * (1000 + 0.5 * 3000))
    told = found.told()
    assert (told["previous_windows"], told["previous_mean"], told["elapsed"]) == (3, 3000, 0.5)


async def test_a_forecast_knows_the_earlier_months_and_minutes(office):
    await office.use(10_000_000, key="tenant/usd/month/", ago=20 * DAY)
    await office.use(2_000_000, key="tenant/usd/month/")
    found = await office.foreseen("tenant/usd/month/")
    assert (found.previous, found.told()["previous_mean"]) == ([10_000_000], 10.0)
    await office.use(30, key="project:search/requests/minute/", ago=60)
    office.clock.advance(30)
    await office.use(10, key="project:search/requests/minute/")
    found = await office.foreseen("project:search/requests/minute/")
    assert (found.previous, found.expected) == ([30], 10 + round(0.5 * (10 + 0.5 * 30)))
