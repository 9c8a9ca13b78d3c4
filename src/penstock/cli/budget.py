"""`budget`: shows, changes, resets and forecasts what a tenant may use. No gateway need be running."""

import argparse
import asyncio
import contextlib
import logging
import re
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from penstock.budget.changed import TABLE, ChangedLimits
from penstock.budget.limits import Applied
from penstock.budget.report import Desk, Forecast, Row
from penstock.cli.table import table
from penstock.errors import Refusal, StartError, StoreUnavailable
from penstock.gateway import Policies
from penstock.policy.problems import printable, quoted
from penstock.settings import Settings, options_parser
from penstock.stores.keyring import Keyring
from penstock.stores.open import open_ledger
from penstock.stores.records import Records
from penstock.telemetry.log import JsonLines
from penstock.tenants.book import KeyBook
from penstock.tenants.policy import TenantsPolicy

_ONE: Final = frozenset({"unit", "window", "model"})
_TAKES: Final = {
    "show": frozenset[str](),
    "set": _ONE | {"limit"},
    "reset": _ONE | {"all"},
    "forecast": frozenset[str](),
}
_NAMED: Final = ("scope", "unit", "window", "model")
_HEAD: Final = (*_NAMED, "used", "of crashes", "reserved", "left", "limit", "share", "from", "resets at")
_FORECAST_HEAD: Final = (*_NAMED, "used", "limit", "passed", "expected", "and so")

Verb = Callable[[argparse.Namespace, Desk], Awaitable[int]]


def run(words: Sequence[str]) -> int:
    """Do what is asked. Raises StartError."""
    options = _parser().parse_args(words)
    if options.what not in _TAKES:
        raise StartError("penstock budget: say what to do: show, set, reset or forecast")
    for name in sorted(_ONE | {"limit", "all"}):
        if getattr(options, name) and name not in _TAKES[options.what]:
            raise StartError(f"penstock budget {options.what} takes no --{name}")
    if not options.tenant:
        raise StartError(f"penstock budget {options.what}: say whose with --tenant")
    if options.project and options.user:
        raise StartError("penstock budget: a limit is a project's or a user's; name one of them")
    verbs: dict[str, Verb] = {"show": _show, "set": _set, "reset": _reset, "forecast": _forecast}
    with _log_to_stderr():
        return asyncio.run(_at_the_desk(verbs[options.what], options, Settings.of(options)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("penstock budget", parents=[options_parser()], allow_abbrev=False)
    parser.add_argument("what", nargs="?", metavar="show|set|reset|forecast", help="what to do")
    parser.add_argument("--tenant", metavar="T", help="whose budgets")
    parser.add_argument("--project", metavar="P", help="of these, one project's")
    parser.add_argument("--user", metavar="U", help="of these, one user's")
    parser.add_argument("--unit", metavar="X", help="set, reset: tokens, requests, usd or streams")
    parser.add_argument("--window", metavar="W", help="set, reset: minute, day, month or total")
    parser.add_argument("--model", metavar="M", help="set, reset: the limit that counts only this model")
    parser.add_argument("--limit", metavar="N|policy", help="set: so much, or what the policy says again")
    parser.add_argument("--all", action="store_true", help="reset: every limit of the tenant or scope")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


@contextlib.contextmanager
def _log_to_stderr() -> Iterator[None]:
    """Write the lines of changes as the gateway writes its log."""
    log, handler = logging.getLogger("penstock.budget"), logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    level, propagate = log.level, log.propagate
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)
        log.propagate = propagate


async def _at_the_desk(verb: Verb, options: argparse.Namespace, settings: Settings) -> int:
    """Open what the gateway opens: the keyring of its state folder, its policies and its store."""
    keyring = _keyring(settings.state)
    tenants = Policies(settings).read()[TenantsPolicy]
    ledger, records = await open_ledger(settings.store)
    try:
        changed = ChangedLimits(records, keyring)
        await changed.look()
        await _refuse_other_keyring(records, keyring, changed, settings.state)
        return await verb(options, Desk(options.tenant, tenants, changed, ledger, "cli"))
    except Refusal as refusal:
        raise StartError(refusal.message) from None
    except StoreUnavailable as problem:
        raise StartError(f"the store of budgets does not answer: {problem}") from None
    finally:
        await records.close()
        await ledger.close()


def _keyring(state: Path) -> Keyring:
    path = state / "keyring.key"
    if not path.exists():  # to look at budgets must not make one
        raise StartError(f"{path}: no such file; --state names the gateway's state folder")
    return Keyring.in_folder(state)


async def _refuse_other_keyring(
    records: Records, keyring: Keyring, changed: ChangedLimits, state: Path
) -> None:
    """Raise StartError where this state folder can't be that of the gateways on this store."""
    _, there = await records.read(TABLE)
    keys = await KeyBook(records, keyring).read()
    if (there and not changed.amounts) or (keys.unreadable and not keys.keys):
        raise StartError(
            f"{state / 'keyring.key'}: what this store holds was made with another one; "
            "--state names the gateway's state folder"
        )


async def _show(options: argparse.Namespace, desk: Desk) -> int:
    rows = await desk.standings(_chosen(options, desk))
    return _print(options, desk.told(rows), _HEAD, [_shown(row) for row in rows])


async def _forecast(options: argparse.Namespace, desk: Desk) -> int:
    found = await desk.forecasts(_chosen(options, desk))
    return _print(options, desk.told(found), _FORECAST_HEAD, [_foreseen(each) for each in found])


async def _set(options: argparse.Namespace, desk: Desk) -> int:
    named = _named(options)
    if options.limit is None:
        raise StartError("penstock budget set: say how much with --limit, or --limit policy")
    if options.limit == "policy":
        return await _put_back(options, desk, desk.existing(*named))
    limit = desk.limit(*named, _amount(options.limit))
    before, after = await desk.set(limit)
    if options.json:
        return _json(
            {"tenant": desk.tenant, "before": before.told() if before else None, "after": after.told()}
        )
    was = limit.shown(before.limit.amount) if before else "none"
    used = limit.shown(after.stand.standing.used)
    print(f"{_which(limit, desk)}: {limit.shown(limit.amount)}; it was {was}, and {used} are used")
    return 0


async def _put_back(options: argparse.Namespace, desk: Desk, limit: Applied) -> int:
    change = await desk.forget(limit)
    before, after = change or ((await desk.standings([limit]))[0],) * 2
    if options.json:
        return _json(
            {"tenant": desk.tenant, "before": before.told(), "after": after.told() if after else None}
        )
    now = limit.shown(after.limit.amount) if after else "no limit any more"
    was = f"it was {limit.shown(before.limit.amount)}" if change else "it was so already"
    print(f"{_which(limit, desk)}: {now}, as in the policy; {was}")
    return 0


async def _reset(options: argparse.Namespace, desk: Desk) -> int:
    if options.all and any(getattr(options, name) for name in _ONE):
        raise StartError("penstock budget reset: --all resets every limit; leave --unit and the like out")
    if not options.all and not options.unit:
        raise StartError("penstock budget reset: name a limit with --unit and --window, or all with --all")
    limits = _chosen(options, desk) if options.all else [desk.existing(*_named(options))]
    changes = await desk.reset(limits)
    if options.json:
        told = [{"before": before.told(), "after": after.told()} for before, after in changes]
        return _json({"tenant": desk.tenant, "limits": told})
    for before, after in changes:
        was, now = (before.limit.shown(row.stand.standing.used) for row in (before, after))
        print(f"{_which(before.limit, desk)}: {was} were used, now {now}")
    if not changes:
        print("there are no limits to reset")
    return 0


def _scope(options: argparse.Namespace) -> str:
    """Give the scope that is named, or nothing."""
    if options.project:
        return f"project:{options.project}"
    return f"user:{options.user}" if options.user else ""


def _chosen(options: argparse.Namespace, desk: Desk) -> Sequence[Applied]:
    """Give the limits of the scope that is named, or all of the tenant's."""
    scope = _scope(options)
    desk.models(scope or "tenant")  # refuses a scope that there is not
    return list(desk.limits(scope).values())


def _named(options: argparse.Namespace) -> tuple[str, str, str | None, str | None]:
    """Give the words that name one limit. Raises StartError."""
    if not options.unit:
        raise StartError(f"penstock budget {options.what}: say which limit with --unit and --window")
    return _scope(options) or "tenant", options.unit, options.window, options.model


def _amount(text: str) -> int | float:
    """Read an amount. Raises StartError."""
    if not re.fullmatch(r"[0-9]{1,16}(\.[0-9]{1,6})?", text):
        raise StartError(f"--limit {quoted(text)}: write it as 5000, or as 12.50 for usd, or 'policy'")
    return float(text) if "." in text else int(text)


def _print(
    options: argparse.Namespace, told: dict[str, Any], head: Sequence[str], rows: Sequence[Sequence[str]]
) -> int:
    if options.json:
        return _json(told)
    if rows:
        print(table(head, rows))
    else:
        print("there are no limits")
    return 0


def _json(told: dict[str, Any]) -> int:
    print(msgspec.json.encode(told).decode())
    return 0


def _which(limit: Applied, desk: Desk) -> str:
    return printable(limit.named(desk.tenant))


def _cells(row: Row) -> tuple[str, ...]:
    return tuple(printable(value or "") for value in row.named().values())


def _shown(row: Row) -> tuple[str, ...]:
    limit, its = row.limit, row.stand.standing
    amounts = (its.used, its.expired, its.reserved, row.stand.left, limit.amount)
    source = "policy"
    if row.changed:
        source = "changed" if row.in_policy is None else f"changed; policy {limit.shown(row.in_policy)}"
    share = f"{its.used * 100 // limit.amount} %"  # 100 only once all is used
    return (*_cells(row), *map(limit.shown, amounts), share, source, row.stand.resets_at(row.zone))


def _foreseen(found: Forecast) -> tuple[str, ...]:
    row, limit = found.row, found.row.limit
    passed = "" if found.elapsed is None else f"{found.elapsed:.0%}".replace("%", " %")
    expected = "" if found.expected is None else limit.shown(found.expected)
    says = {
        "reached": "the limit is reached",
        "within": "stays within",
        "unknown": f"unknown: {found.reason}",
        "will_be_reached": f"reaches the limit at {row.when(found.reached_at or 0)}",
    }
    used = limit.shown(row.stand.standing.used)
    return (*_cells(row), used, limit.shown(limit.amount), passed, expected, says[found.outcome])
