"""Windows: when a budget period began and when it ends, on the tenant's own clock."""

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Final

_MINUTE_S: Final = 60
_DAY_S: Final = 86_400.0
_KEPT_S: Final = {"minute": 3_600.0, "day": 40 * _DAY_S, "month": 400 * _DAY_S}


class Window(StrEnum):
    """A budget's period. TOTAL never ends; NONE is of what is counted at the moment only."""

    MINUTE = "minute"
    DAY = "day"
    MONTH = "month"
    TOTAL = "total"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Period:
    """One window in time: from `began` until before `ends`, in seconds since the epoch."""

    window: Window
    began: float
    ends: float

    @property
    def keep_until(self) -> float:
        """When its counter may be forgotten: late enough for reports, and for clocks that step back."""
        return self.ends + _KEPT_S.get(self.window, 0.0)

    def holds(self, now: float) -> bool:
        """Whether this moment is in it."""
        return self.began <= now < self.ends


class Periods:
    """The periods of the moment, kept until they end: working one out costs more than looking it up."""

    def __init__(self) -> None:
        self._live: dict[tuple[Window, tzinfo], Period] = {}

    def at(self, window: Window, now: float, zone: tzinfo) -> Period:
        """Give the period of this moment."""
        kept = self._live.get((window, zone))
        if kept is None or not kept.holds(now):
            kept = self._live[window, zone] = period(window, now, zone)
        return kept


def period(window: Window, now: float, zone: tzinfo) -> Period:
    """Give the period of this moment. Days begin at the zone's midnight, and may have 23 or 25 hours."""
    if window is Window.MINUTE:
        began = now // _MINUTE_S * _MINUTE_S
        return Period(window, began, began + _MINUTE_S)
    if window in (Window.TOTAL, Window.NONE):
        return Period(window, 0.0, math.inf)
    today = datetime.fromtimestamp(now, zone).date()
    first = today if window is Window.DAY else today.replace(day=1)
    if now < _midnight(first, zone):  # the clock was put back over midnight, so this date had begun before
        first -= timedelta(days=1)
        first = first if window is Window.DAY else first.replace(day=1)
    elif now >= _midnight(_after(first, window), zone):  # the same, and the next date had begun already
        first = _after(first, window)
    return Period(window, _midnight(first, zone), _midnight(_after(first, window), zone))


def _after(first: date, window: Window) -> date:
    if window is Window.DAY:
        return first + timedelta(days=1)
    return (first + timedelta(days=31)).replace(day=1)


def _midnight(day: date, zone: tzinfo) -> float:
    """Give a date's first moment; where the clock is put forward at midnight, that is the gap's end."""
    local = datetime(day.year, day.month, day.day, tzinfo=zone)
    return local.astimezone(UTC).timestamp()
