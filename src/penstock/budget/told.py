"""What a client is told of its budget: headers on every answer, and the refusal at the end."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from typing import Final

import msgspec

from penstock.budget.limits import Applied
from penstock.budget.window import Period
from penstock.errors import Refusal
from penstock.stores.ledger import Standing

_LONGEST_WAIT_S: Final = 60
"""One SDK sleeps for as long as `retry-after` says."""
_SOON_S: Final = 1  # when a concurrent stream may have ended


class Stand(msgspec.Struct, frozen=True):
    """One limit as it stands in its period."""

    limit: Applied
    period: Period
    standing: Standing

    @property
    def taken(self) -> int:
        """What is used or held."""
        return self.standing.used + self.standing.reserved

    @property
    def left(self) -> int:
        """What is neither used nor held."""
        return max(0, self.limit.amount - self.taken)

    @property
    def share(self) -> float:
        """The part of the limit that is used."""
        return self.standing.used / self.limit.amount

    def resets_at(self, zone: tzinfo) -> str:
        """Say when the period ends, on the tenant's clock; `never` where it doesn't."""
        if math.isinf(self.period.ends):
            return "never"
        return datetime.fromtimestamp(self.period.ends, zone).isoformat(timespec="seconds")


def headers(stands: Sequence[Stand], now: float, zone: tzinfo, warn_at: float) -> dict[str, str]:
    """Give the headers that an answer carries: rates as OpenAI writes them, and the tightest budget."""
    told: dict[str, str] = {}
    for unit in ("requests", "tokens"):
        if counted := [stand for stand in stands if stand.limit.unit == unit]:
            tightest = min(counted, key=_left_share)
            told[f"x-ratelimit-limit-{unit}"] = str(tightest.limit.amount)
            told[f"x-ratelimit-remaining-{unit}"] = str(tightest.left)
            told[f"x-ratelimit-reset-{unit}"] = _duration(tightest.period.ends - now)
    budgets = [stand for stand in stands if not stand.limit.rate]
    tightest = min(budgets or stands, key=_left_share)
    told["x-dac-budget-remaining"] = f"{tightest.limit.shown(tightest.left)}; {_which(tightest.limit)}"
    if warned := [stand for stand in budgets if stand.share >= warn_at]:
        told["x-dac-budget-warning"] = warning(max(warned, key=lambda stand: stand.share), zone)
    return told


def warning(stand: Stand, zone: tzinfo) -> str:
    """Say in a header how far a budget is used."""
    limit = stand.limit
    used, most = limit.shown(stand.standing.used), limit.shown(limit.amount)
    return f"{_which(limit)}; used={used}; limit={most}; reset={stand.resets_at(zone)}"


def stopped(
    denied: Sequence[Stand], tenant: str, now: float, zone: tzinfo, status: int, *, waits: bool
) -> Refusal:
    """Make the refusal for limits that have no room; `waits`: what others hold is all that is in the way."""
    spent = [stand for stand in denied if not stand.limit.rate]
    worst = max(spent or denied, key=lambda stand: stand.period.ends)
    what = f"The limit of {worst.limit.named(tenant)} leaves no room for this request."
    wait_s = worst.period.ends - now
    if spent and not waits:
        resets_at = worst.resets_at(zone)
        when = "It does not reset by itself." if resets_at == "never" else f"It resets at {resets_at}."
        told = {"retry-after": _wait(wait_s), "x-should-retry": "false"}
        return Refusal(
            status, "insufficient_quota", f"{what} {when}", kind="insufficient_quota", headers=told
        )
    when = "Try again when other answers have ended."
    if not waits and not math.isinf(wait_s):
        when = f"It resets at {worst.resets_at(zone)}."
    told = {"retry-after": str(_SOON_S) if waits else _wait(wait_s)}
    return Refusal(429, "rate_limit_exceeded", f"{what} {when}", kind="rate_limit_error", headers=told)


def _wait(seconds: float) -> str:
    return str(_LONGEST_WAIT_S if math.isinf(seconds) else max(1, min(_LONGEST_WAIT_S, math.ceil(seconds))))


def _which(limit: Applied) -> str:
    of_model = (
        f"; model={limit.model}"
        if limit.model.isascii() and limit.model.isprintable() and limit.model
        else ""
    )
    return f"unit={limit.unit}; scope={limit.scope}; window={limit.window}{of_model}"


def _left_share(stand: Stand) -> float:
    return stand.left / stand.limit.amount


def _duration(seconds: float) -> str:
    """Write a time as OpenAI's headers do: `6m0s`."""
    if math.isinf(seconds):
        return "0s"
    whole = max(0, math.ceil(seconds))
    hours, minutes = whole // 3600, whole % 3600 // 60
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{whole % 60}s"


def moment(seconds: float) -> str:
    """Write a moment for logs and reports, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
