"""What people see of a tenant's budgets beside the road, and the changes that they make there."""

import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, Final, get_args

from pydantic import ValidationError

from penstock.budget.changed import ChangedLimits
from penstock.budget.limits import Applied, limits_of
from penstock.budget.told import Stand
from penstock.budget.window import Period, Window, period
from penstock.clock import SYSTEM, Clock
from penstock.errors import Refusal
from penstock.policy.problems import closest, quoted
from penstock.stores.ledger import Ledger
from penstock.tenants import policy as words
from penstock.tenants.policy import Limit, TenantsPolicy

log = logging.getLogger("penstock.budget")
_USD_MICROS: Final = 1_000_000
_EARLIER: Final = {Window.MINUTE: 10, Window.DAY: 28, Window.MONTH: 3}
"""How many earlier windows a forecast looks at: whole weeks, so that each weekday counts alike."""
_LEAST_ELAPSED: Final = 0.02


@dataclass(frozen=True, slots=True)
class Row:
    """One limit as it stands. `in_policy` is the policy's amount; None where only a change made the limit."""

    stand: Stand
    zone: tzinfo
    in_policy: int | None
    changed: bool

    @property
    def limit(self) -> Applied:
        """The limit."""
        return self.stand.limit

    def named(self) -> dict[str, Any]:
        """Name the limit as tenants.yaml does: no window for streams, no model for all of them."""
        limit = self.limit
        window = None if limit.window is Window.NONE else limit.window.value
        return {"scope": limit.scope, "unit": limit.unit, "window": window, "model": limit.model or None}

    def told(self) -> dict[str, Any]:
        """Give everything for JSON: money in dollars, times on the tenant's clock."""
        limit, its = self.limit, self.stand.standing
        return {
            **self.named(),
            "used": _number(limit, its.used),
            "reserved": _number(limit, its.reserved),
            "expired": _number(limit, its.expired),
            "limit": _number(limit, limit.amount),
            "left": _number(limit, self.stand.left),
            "share": its.used * 10_000 // limit.amount / 10_000,  # never 1 before all is used
            "source": "changed" if self.changed else "policy",
            "policy_limit": None if self.in_policy is None else _number(limit, self.in_policy),
            "began": None if self.stand.period.began == 0 else self.when(self.stand.period.began),
            "resets_at": None if math.isinf(self.stand.period.ends) else self.when(self.stand.period.ends),
        }

    def when(self, seconds: float) -> str:
        """Write a moment on the tenant's clock."""
        return datetime.fromtimestamp(seconds, self.zone).isoformat(timespec="seconds")


@dataclass(frozen=True, slots=True)
class Forecast:
    """Where a limit will stand at its window's end if all goes on as it does.

    `elapsed` is the part of the window that has passed; None where the window has no end. `previous` is
    what earlier windows used, the latest first. `expected` is what would be used without the limit; None,
    with the reason, where nobody can tell.
    """

    row: Row
    elapsed: float | None
    previous: Sequence[int]
    expected: int | None = None
    reached_at: float | None = None
    reason: str = ""

    @property
    def outcome(self) -> str:
        """Say it in a word: `within`, `will_be_reached`, `reached` or `unknown`."""
        if self.row.stand.standing.used >= self.row.limit.amount:
            return "reached"
        if self.expected is None:
            return "unknown"
        return "within" if self.reached_at is None else "will_be_reached"

    def told(self) -> dict[str, Any]:
        """Give everything for JSON, as `Row.told` does."""
        limit, previous = self.row.limit, self.previous
        mean = round(sum(previous) / len(previous)) if previous else None
        return {
            **self.row.named(),
            "used": _number(limit, self.row.stand.standing.used),
            "limit": _number(limit, limit.amount),
            "elapsed": None if self.elapsed is None else math.floor(self.elapsed * 10_000) / 10_000,
            "previous_windows": len(previous),
            "previous_mean": None if mean is None else _number(limit, mean),
            "expected": None if self.expected is None else _number(limit, self.expected),
            "outcome": self.outcome,
            "reached_at": None if self.reached_at is None else self.row.when(self.reached_at),
            "reason": self.reason or None,
        }


def forecast(row: Row, previous: Sequence[int], now: float) -> Forecast:
    """Extend the pace of this window to its end, the more of it the more of the window has passed.

    What remains is reckoned at (share passed) x (this window's pace) + (share left) x (the mean of the
    earlier windows), or at this window's pace alone where there are none.
    """
    stand, its = row.stand.period, row.stand.standing
    if math.isinf(stand.ends):
        return Forecast(row, None, (), reason="it has no window that ends")
    elapsed = min(1.0, max(0.0, (now - stand.began) / (stand.ends - stand.began)))
    if elapsed < _LEAST_ELAPSED:
        return Forecast(row, elapsed, previous, reason="less than 2 % of the window has passed")
    if not its.used:
        return Forecast(row, elapsed, previous, reason="nothing is used yet")
    mean = sum(previous) / len(previous) if previous else its.used / elapsed
    coming = (1 - elapsed) * (its.used + (1 - elapsed) * mean)
    expected = its.used + round(coming)
    reached_at = None
    if its.used < row.limit.amount <= expected:
        reached_at = now + (row.limit.amount - its.used) / coming * (stand.ends - now)
    return Forecast(row, elapsed, previous, expected, reached_at)


class Desk:
    """One tenant's limits, those of its projects and users among them.

    `tenants` are the policy of the moment; `who` stands beside every change in the log. Raises Refusal
    (400, 404) for what there is not; every method that awaits raises StoreUnavailable.
    """

    def __init__(
        self,
        tenant: str,
        tenants: TenantsPolicy,
        changed: ChangedLimits,
        ledger: Ledger,
        who: str,
        clock: Clock = SYSTEM,
    ) -> None:
        found = tenants.tenant(tenant)
        if found is None:
            message = f"There is no tenant called {quoted(tenant)}.{_meant(tenant, tenants.tenants)}"
            raise Refusal(404, "tenant_not_found", message, param="tenant")
        self.tenant = tenant
        self._policy = found
        self._changed = changed
        self._ledger = ledger
        self._who = who
        self._clock = clock

    def limits(self, scope: str = "", *, in_policy: bool = False) -> dict[str, Applied]:
        """Give the limits by key: all, or one scope's; with `in_policy` as they are without changes."""
        overrides = {} if in_policy else self._changed.amounts
        holders = [("", ""), *((name, "") for name in self._policy.projects)]
        holders += [("", name) for name in self._policy.users]
        return {
            limit.key: limit
            for project, user in holders
            for limit in limits_of(self.tenant, self._policy, project, user, None, overrides)
            if not scope or limit.scope == scope
        }

    def limit(
        self, scope: str, unit: str, window: str | None, model: str | None, amount: float = 1
    ) -> Applied:
        """Give the limit that these words name, with this amount, whether there is one or not."""
        allowed = self.models(scope)
        _check_word("unit", unit, get_args(words.Unit))
        if window == Window.NONE:
            window = None
        if window is not None:
            _check_word("window", window, get_args(words.Window))
        if model is not None and not model.isprintable():
            raise _wrong("a model's name has no control characters", "model")
        try:
            limit = Limit.model_validate({"unit": unit, "window": window, "limit": amount, "model": model})
        except ValidationError as problem:
            first = problem.errors()[0]
            raise _wrong(
                first["msg"].removeprefix("Value error, "), str((first["loc"] or ("limit",))[0])
            ) from None
        if model is not None and allowed is not None and model not in allowed:
            raise _wrong(f"{scope} may not use the model {quoted(model)}", "model", _meant(model, allowed))
        return Applied(scope, unit, Window(window or Window.NONE), limit.amount, model or "")

    def existing(self, scope: str, unit: str, window: str | None, model: str | None) -> Applied:
        """Give the limit that these words name."""
        key = self.limit(scope, unit, window, model).key
        limits = self.limits()
        if key not in limits:
            names = [name.rstrip("/") for name in limits]
            message = f"There is no limit {quoted(key.rstrip('/'))}.{_meant(key, names)}"
            raise Refusal(404, "limit_not_found", message)
        return limits[key]

    def models(self, scope: str) -> Sequence[str] | None:
        """Give the models that a scope may use; None where there is no list of them."""
        if scope == "tenant":
            return self._policy.models
        kind, _, name = scope.partition(":")
        groups = {"project": self._policy.projects, "user": self._policy.users}.get(kind)
        if groups is None:
            raise _wrong("it is 'tenant', 'project:NAME' or 'user:NAME'", "scope")
        if name not in groups:
            message = f"There is no {kind} of {self.tenant} called {quoted(name)}.{_meant(name, groups)}"
            raise Refusal(404, "scope_not_found", message, param="scope")
        return groups[name].models or self._policy.models

    async def standings(self, limits: Sequence[Applied] | None = None) -> list[Row]:
        """Give limits as they stand now; all of them if none are named."""
        limits = list(self.limits().values()) if limits is None else limits
        now, known = self._clock.now(), self.limits(in_policy=True)
        periods = [period(limit.window, now, self._policy.zone) for limit in limits]
        accounts = [limit.account(its) for limit, its in zip(limits, periods, strict=True)]
        found = await self._ledger.read(self.tenant, accounts, now=now)
        rows = []
        for limit, its, standing in zip(limits, periods, found, strict=True):
            in_policy = known[limit.key].amount if limit.key in known else None
            changed = (self.tenant, limit.key) in self._changed.amounts
            rows.append(Row(Stand(limit, its, standing), self._policy.zone, in_policy, changed))
        return rows

    async def forecasts(self, limits: Sequence[Applied] | None = None) -> list[Forecast]:
        """Say where limits will stand; all of them if none are named."""
        rows = await self.standings(limits)
        earlier = [list(_earlier(row.stand.period, row.zone)) for row in rows]
        accounts = [row.limit.account(its) for row, past in zip(rows, earlier, strict=True) for its in past]
        now = self._clock.now()
        found = iter(await self._ledger.read(self.tenant, accounts, now=now))
        totals = [[next(found).used for _ in past] for past in earlier]
        return [forecast(row, _since_first(past), now) for row, past in zip(rows, totals, strict=True)]

    async def set(self, limit: Applied) -> tuple[Row | None, Row]:
        """Put this limit in the place of what there was; what is used stays. Gives before and after."""
        before = await self._row(limit.key)
        await self._changed.set(self.tenant, limit)
        (after,) = await self.standings([limit])
        self._log("set", limit, _amount(before), _amount(after))
        return before, after

    async def forget(self, limit: Applied) -> tuple[Row, Row | None] | None:
        """Let the policy decide again; what is used stays. Gives before and after; None if it did already."""
        before = await self._row(limit.key)
        if not await self._changed.forget(self.tenant, limit) or before is None:
            return None
        after = await self._row(limit.key)
        self._log("put back", limit, _amount(before), _amount(after))
        return before, after

    async def reset(self, limits: Sequence[Applied]) -> list[tuple[Row, Row]]:
        """Set to zero what is used of these in their windows; what is held stays. Gives before and after."""
        before = await self.standings(limits)
        accounts = [row.limit.account(row.stand.period) for row in before]
        await self._ledger.reset(self.tenant, accounts, now=self._clock.now())
        after = await self.standings(limits)
        for limit, was, now in zip(limits, before, after, strict=True):
            used = [limit.shown(row.stand.standing.used) for row in (was, now)]
            self._log("reset the use of", limit, *(f"{amount} used" for amount in used))
        return list(zip(before, after, strict=True))

    def told(self, rows: Sequence[Row | Forecast]) -> dict[str, Any]:
        """Give a report for JSON."""
        zone = self._policy.zone
        at = datetime.fromtimestamp(self._clock.now(), zone).isoformat(timespec="seconds")
        limits = [row.told() for row in rows]
        return {"tenant": self.tenant, "timezone": self._policy.timezone, "at": at, "limits": limits}

    async def _row(self, key: str) -> Row | None:
        there = self.limits().get(key)
        return (await self.standings([there]))[0] if there else None

    def _log(self, did: str, limit: Applied, before: str, after: str) -> None:
        what = limit.named(self.tenant)
        log.info("%s %s the limit of %s: before %s, after %s", self._who, did, what, before, after)


def _earlier(its: Period, zone: tzinfo) -> Iterator[Period]:
    """Give the periods before this one that a forecast looks at, the latest first."""
    for _ in range(_EARLIER.get(its.window, 0)):
        its = period(its.window, its.began - 1, zone)
        yield its


def _since_first(totals: Sequence[int]) -> Sequence[int]:
    """Leave out the windows before the first that was used: the tenant may not have been there yet."""
    used = [place for place, total in enumerate(totals) if total]
    return totals[: used[-1] + 1] if used else ()


def _number(limit: Applied, amount: int) -> int | float:
    """Give an amount as people count: money in dollars, exact up to a billion."""
    return amount / _USD_MICROS if limit.unit == "usd" else amount


def _amount(row: Row | None) -> str:
    if row is None:
        return "none"
    return f"{row.limit.shown(row.limit.amount)} ({'changed' if row.changed else 'policy'})"


def _check_word(what: str, word: str, known: Sequence[str]) -> None:
    if word not in known:
        raise _wrong(f"there is no {what} {quoted(word)}", what, _meant(word, known))


def _meant(word: str, names: Iterable[str]) -> str:
    near = closest(word, names)
    return f" Did you mean {quoted(near)}?" if near else ""


def _wrong(message: str, param: str, meant: str = "") -> Refusal:
    return Refusal(400, "invalid_value", f"{param}: {message}.{meant}", param=param)
