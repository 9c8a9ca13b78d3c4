"""`penstock budget` on a real SQLite ledger, as an operator calls it, without a gateway."""

import asyncio
import json
import logging

import pytest

from penstock.budget.limits import Applied
from penstock.budget.window import Window, period
from penstock.clock import SYSTEM
from penstock.stores.keyring import Keyring
from penstock.stores.ledger import Line
from penstock.stores.open import open_ledger
from penstock.tenants.policy import zone_of

TENANTS = """
tenants:
  acme:
    timezone: Europe/Berlin
    limits:
      - {unit: tokens, window: month, limit: 10000}
      - {unit: usd, window: total, limit: 2.5}
    projects:
      search:
        limits: [{unit: requests, window: month, limit: 60}]
    users:
      eve: {}
"""
UPSTREAMS = """
default: local
upstreams:
  local: {url: "http://127.0.0.1:9/v1", auth: {style: none}}
"""
MONTH = Applied("tenant", "tokens", Window.MONTH, 10000)
TOTAL = Applied("tenant", "usd", Window.TOTAL, 2_500_000)


@pytest.fixture
def state(tmp_path):
    (tmp_path / "state").mkdir(mode=0o700)
    Keyring.in_folder(tmp_path / "state")
    return tmp_path / "state"


@pytest.fixture
def budget(run, policies, state):
    """Call the verb for acme, on these policies and this state folder."""
    (policies / "tenants.yaml").write_text(TENANTS)
    (policies / "upstreams.yaml").write_text(UPSTREAMS)

    def call(what, *words, tenant="acme"):
        return run(
            "budget", what, "--tenant", tenant, *words, "--policies", str(policies), "--state", str(state)
        )

    return call


@pytest.fixture
def use(state):
    """Charge or hold so much of a limit, as the gateway does."""

    async def charge(limit, amount, settled):
        ledger, records = await open_ledger(f"sqlite:///{state / 'penstock.db'}")
        now = SYSTEM.now()
        line = Line(limit.account(period(limit.window, now, zone_of("Europe/Berlin"))), 10**12, amount)
        given = {"tokens": 0, "least": 0, "now": now, "expires_at": now + 600}
        await ledger.reserve("acme", str(now), [line], **given)
        if settled:
            await ledger.settle("acme", str(now), [(line, amount)], now=now)
        await records.close()
        await ledger.close()

    return lambda limit, amount, settled=True: asyncio.run(charge(limit, amount, settled))


def limits(told):
    """Give the limits of a JSON report by scope, unit and window."""
    assert (told.code, told.err) == (0, "")
    return {(each["scope"], each["unit"], each["window"]): each for each in json.loads(told.out)["limits"]}


def test_show_is_a_table(budget, use):
    use(MONTH, 8000)
    use(MONTH, 500, settled=False)
    use(TOTAL, 1_250_000)
    told = budget("show")
    assert (told.code, told.err) == (0, "")
    lines = told.out.splitlines()
    assert lines[0].split() == (
        "scope unit window model used of crashes reserved left limit share from resets at".split()
    )
    assert lines[2].split()[:11] == "tenant tokens month 8000 0 500 1500 10000 80 % policy".split()
    assert (
        lines[3].split()
        == "tenant usd total 1.250000 0.000000 0.000000 1.250000 2.500000 50 % policy never".split()
    )
    assert lines[4].split()[:6] == "project:search requests month 0 0 0".split()
    assert len(lines) == 5


def test_show_is_json(budget, use):
    use(MONTH, 8000)
    found = limits(budget("show", "--json"))
    assert found["tenant", "tokens", "month"]["used"] == 8000
    assert found["tenant", "usd", "total"]["limit"] == 2.5
    assert set(found) == {
        ("tenant", "tokens", "month"),
        ("tenant", "usd", "total"),
        ("project:search", "requests", "month"),
    }


def test_show_of_one_scope(budget):
    assert set(limits(budget("show", "--project", "search", "--json"))) == {
        ("project:search", "requests", "month")
    }
    assert budget("show", "--user", "eve").out == "there are no limits\n"


def test_set_changes_what_is_allowed_and_not_what_is_used(budget, use):
    use(MONTH, 8000)
    told = budget("set", "--unit", "tokens", "--window", "month", "--limit", "20000")
    assert told.code == 0
    assert told.out == "tokens of the month for tenant acme: 20000; it was 10000, and 8000 are used\n"
    row = limits(budget("show", "--json"))["tenant", "tokens", "month"]
    assert (row["limit"], row["policy_limit"], row["source"], row["used"]) == (20000, 10000, "changed", 8000)
    assert "changed; policy 10000" in budget("show").out


def test_a_change_is_a_line_of_the_log(budget):
    before = logging.getLogger("penstock.budget").handlers[:]
    told = budget("set", "--unit", "usd", "--window", "total", "--limit", "3.75")
    line = json.loads(told.err)
    assert (line["level"], line["logger"]) == ("info", "penstock.budget")
    assert line["message"] == (
        "cli set the limit of usd in all for tenant acme: before 2.500000 (policy), after 3.750000 (changed)"
    )
    assert logging.getLogger("penstock.budget").handlers == before


def test_set_to_the_policy(budget):
    words = ("--unit", "tokens", "--window", "month", "--limit")
    budget("set", *words, "20000")
    told = budget("set", *words, "policy")
    assert (told.code, told.out) == (
        0,
        "tokens of the month for tenant acme: 10000, as in the policy; it was 20000\n",
    )
    assert limits(budget("show", "--json"))["tenant", "tokens", "month"]["source"] == "policy"
    again = budget("set", *words, "policy")
    assert (again.code, again.err) == (0, "")
    assert again.out == "tokens of the month for tenant acme: 10000, as in the policy; it was so already\n"


def test_set_adds_a_limit_and_takes_it_away(budget):
    words = ("--user", "eve", "--unit", "usd", "--window", "day", "--model", "gpt-4o", "--json", "--limit")
    told = json.loads(budget("set", *words, "0.000001").out)
    assert (told["tenant"], told["before"]) == ("acme", None)
    assert (told["after"]["limit"], told["after"]["model"], told["after"]["scope"]) == (
        1e-06,
        "gpt-4o",
        "user:eve",
    )
    told = json.loads(budget("set", *words, "policy").out)
    assert (told["before"]["limit"], told["after"]) == (1e-06, None)
    gone = budget("set", *words, "policy")
    assert gone.code == 2
    assert "There is no limit 'user:eve/usd/day/gpt-4o'." in gone.err


def test_streams_have_no_window(budget):
    told = budget("set", "--unit", "streams", "--limit", "3")
    assert told.out == "streams at a time for tenant acme: 3; it was none, and 0 are used\n"


def test_reset_says_what_was_there(budget, use):
    use(MONTH, 8000)
    use(MONTH, 500, settled=False)
    use(TOTAL, 1_250_000)
    told = budget("reset", "--unit", "tokens", "--window", "month")
    assert (told.code, told.out) == (0, "tokens of the month for tenant acme: 8000 were used, now 0\n")
    assert "cli reset the use of" in json.loads(told.err)["message"]
    found = limits(budget("show", "--json"))
    assert (found["tenant", "tokens", "month"]["used"], found["tenant", "tokens", "month"]["reserved"]) == (
        0,
        500,
    )
    assert found["tenant", "usd", "total"]["used"] == 1.25


def test_reset_of_everything_wants_to_be_asked_for(budget, use):
    use(MONTH, 8000)
    told = budget("reset")
    assert (told.code, told.out) == (2, "")
    assert "--all" in told.err
    assert limits(budget("show", "--json"))["tenant", "tokens", "month"]["used"] == 8000
    told = budget("reset", "--all", "--json")
    changed = json.loads(told.out)["limits"]
    assert [(each["before"]["used"], each["after"]["used"]) for each in changed] == [
        (8000, 0),
        (0.0, 0.0),
        (0, 0),
    ]


def test_reset_of_one_scope(budget, use):
    use(MONTH, 8000)
    told = budget("reset", "--all", "--project", "search")
    assert told.out == "requests of the month for project search: 0 were used, now 0\n"
    assert limits(budget("show", "--json"))["tenant", "tokens", "month"]["used"] == 8000
    assert budget("reset", "--all", "--user", "eve").out == "there are no limits to reset\n"


def test_forecast(budget, use):
    use(MONTH, 10_000)
    told = budget("forecast")
    assert (told.code, told.err) == (0, "")
    lines = told.out.splitlines()
    assert lines[2].endswith("the limit is reached")
    assert lines[3].endswith("unknown: it has no window that ends")
    found = limits(budget("forecast", "--json"))
    assert found["tenant", "tokens", "month"]["outcome"] == "reached"
    assert found["project:search", "requests", "month"]["outcome"] == "unknown"


def test_both_stores_are_one_file_beside_the_gateways(budget, state):
    budget("show")
    assert {path.name for path in state.iterdir()} >= {"keyring.key", "penstock-ledger.db"}
    assert not (state / "penstock.db").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ("show", "--project", "serach"),
            "There is no project of acme called 'serach'. Did you mean 'search'?",
        ),
        (("reset", "--all", "--user", "eva"), "There is no user of acme called 'eva'. Did you mean 'eve'?"),
        (
            ("set", "--unit", "tokns", "--window", "day", "--limit", "1"),
            "unit 'tokns'. Did you mean 'tokens'?",
        ),
        (("set", "--unit", "usd", "--window", "dya", "--limit", "1"), "window 'dya'. Did you mean 'day'?"),
        (("reset", "--unit", "usd", "--window", "mnth"), "window 'mnth'. Did you mean 'month'?"),
        (("reset", "--unit", "tokens", "--window", "day"), "Did you mean 'tenant/tokens/month'?"),
        (("set", "--unit", "tokens", "--limit", "1"), "a limit of tokens needs a window"),
        (("set", "--unit", "tokens", "--window", "day"), "say how much with --limit"),
        (("set", "--limit", "1"), "say which limit with --unit and --window"),
        (("reset", "--window", "day"), "name a limit with --unit and --window"),
        (("reset", "--all", "--unit", "tokens"), "--all resets every limit"),
        (("show", "--unit", "tokens"), "penstock budget show takes no --unit"),
        (("forecast", "--all"), "penstock budget forecast takes no --all"),
        (("reset", "--limit", "1"), "penstock budget reset takes no --limit"),
        (("show", "--project", "search", "--user", "eve"), "name one of them"),
        (("shw",), "say what to do"),
    ],
)
def test_what_makes_no_sense_is_code_2(budget, words, told):
    found = budget(*words)
    assert (found.code, found.out) == (2, "")
    assert told in found.err
    assert found.err.count("\n") == 1


@pytest.mark.parametrize(
    "amount", ["0", "-1", "1e5", "0x10", "\u0661", "1.5", "", " 7", "1_000", "Policy", "9" * 17, "nan"]
)
def test_what_is_no_amount_is_code_2(budget, amount):
    found = budget("set", "--unit", "tokens", "--window", "day", f"--limit={amount}")
    assert (found.code, found.out) == (2, "")
    assert found.err.count("\n") == 1
    assert ("tenant", "tokens", "day") not in limits(budget("show", "--json"))


@pytest.mark.parametrize("amount", ["0.0000001", "1000000001", "0.0"])
def test_what_is_no_sum_of_money_is_code_2(budget, amount):
    assert budget("set", "--unit", "usd", "--window", "day", "--limit", amount).code == 2


def test_an_unknown_tenant(budget):
    found = budget("show", tenant="acne")
    assert (found.code, found.out) == (2, "")
    assert found.err == "There is no tenant called 'acne'. Did you mean 'acme'?\n"


def test_no_tenant(run):
    found = run("budget", "show")
    assert (found.code, found.err) == (2, "penstock budget show: say whose with --tenant\n")


def test_looking_makes_no_key(budget, state):
    (state / "keyring.key").unlink()
    found = budget("show")
    assert (found.code, found.out) == (2, "")
    assert "keyring.key: no such file" in found.err
    assert list(state.iterdir()) == []


@pytest.mark.parametrize("first", ["budget", "keys"])
def test_another_keyring_is_refused(budget, run, policies, state, first):
    places = ("--policies", str(policies), "--state", str(state))
    words = ("set", "--unit", "tokens", "--window", "month", "--limit")
    made = (
        budget(*words, "20000") if first == "budget" else run("keys", "create", "--tenant", "acme", *places)
    )
    assert made.code == 0
    (state / "keyring.key").unlink()
    Keyring.in_folder(state)
    found = budget(*words, "30000")
    assert (found.code, found.out) == (2, "")
    assert "was made with another one" in found.err


def test_a_bad_policy_is_shown(budget, policies):
    (policies / "tenants.yaml").write_text("tenants: {acme: {limit: []}}\n")
    found = budget("show")
    assert (found.code, found.out) == (2, "")
    assert "did you mean 'limits'?" in found.err


def test_a_store_that_is_gone(budget):
    found = budget("show", "--store", "redis://127.0.0.1:9/0")
    assert (found.code, found.out) == (2, "")
    assert found.err.count("\n") == 1
