"""A route: one model at one upstream, what is known of its speed, and the calls that are on their way."""

from dataclasses import dataclass
from typing import Final, Protocol

from penstock.clock import Clock
from penstock.errors import Refusal
from penstock.routing.policy import Latency
from penstock.routing.windows import Mean, Quantiles, Window
from penstock.routing.yardstick import Yardstick

_KNOWN: Final = 2.5  # answers, by their weight, that make a pace: three that just came
_OVERDUE: Final = 3  # calls that must be overdue at once: one alone may be a long answer
_PROBES: Final = 3  # good ones in a row that end a mark
_FAILED: Final = 4.0  # times the slow factor: what a failure weighs, and the most that any answer does
_RECKONED_S: Final = 1.0  # how long a p99 is believed; it is asked for with every request
_TOO_MANY: Final = 429


class Notes(Protocol):
    """Who wants to know what happens on routes; telemetry does."""

    def first_event(self, upstream: str, model: str, seconds: float) -> None:
        """Learn when a stream began, from the call on."""

    def state(self, upstream: str, model: str, *, slow: bool) -> None:
        """Learn that a route is there, was marked or is back."""


@dataclass(frozen=True, slots=True)
class RouteState:
    """What is known of a route: `pace` is 1 where it takes what is usual for the model, None if unknown."""

    model: str
    upstream: str
    slow: bool
    pace: float | None
    in_flight: int
    first_event: Quantiles | None
    whole: Quantiles | None


class Route:
    """One model at one upstream.

    Whoever balances sets `latency` from the live policy, and `patience_s`, after which a call without an
    answer is overdue: None where nothing to compare with is known.
    """

    def __init__(self, model: str, upstream: str, clock: Clock, yardstick: Yardstick, notes: Notes) -> None:
        self.model = model
        self.upstream = upstream
        self.latency = Latency()
        self.patience_s: float | None = None
        self.slow = False
        self.in_flight = 0
        self._stale = 0  # calls on their way from before the last mark, or before its end
        self._clock = clock
        self._yardstick = yardstick
        self._notes = notes
        self._pace = Mean()
        self._first, self._whole = Window(), Window()
        self._longest_s: float | None = None
        self._reckoned = -_RECKONED_S
        self._waiting: dict[Ticket, None] = {}  # in the order in which they began
        self._marks = 0  # changes of `slow`; a call that began before the last says nothing of now
        self._probe: Ticket | None = None
        self._probe_at = 0.0
        self._probed: list[float] = []
        notes.state(upstream, model, slow=False)

    def pace(self, now: float) -> float | None:
        """Give how long its answers take, 1 being usual; None where too few are known."""
        known = self._pace.weight(now, self.latency.window_s) >= _KNOWN
        return self._pace.value if known else None

    def load(self, now: float, best: float) -> float:
        """Give the pace times the calls with one more; an unknown pace leans to the best one."""
        weight = self._pace.weight(now, self.latency.window_s)
        pace = (self._pace.value * weight + best) / (weight + 1)
        return pace * (self.open_calls + 1)

    @property
    def open_calls(self) -> int:
        """Count the calls on their way, without those that it may have lost when it was marked."""
        return self.in_flight - self._stale

    def longest_s(self, now: float) -> float | None:
        """Give what 99 of 100 of its calls wait at most; None where too little is known."""
        if now - self._reckoned >= _RECKONED_S:
            told = [window.quantiles(now, self.latency.window_s) for window in (self._first, self._whole)]
            self._longest_s = max((each.p99_s for each in told if each), default=None)
            self._reckoned = now
        return self._longest_s if self.pace(now) is not None else None

    def overdue(self, now: float) -> bool:
        """Say whether calls don't come back: more are overdue than began after the oldest and ended."""
        if self.patience_s is None or not self._waiting:
            return False
        latest = now - self.patience_s
        late = [each for each in self._waiting if each.began < latest and each.marks == self._marks]
        if len(late) < _OVERDUE:
            return False
        return len(late) > sum(window.begun_since(late[0].began) for window in (self._first, self._whole))

    def mark(self, now: float, *, slow: bool) -> None:
        """Mark it as slow, or end that."""
        self.slow, self._stale = slow, self.in_flight
        self._marks += 1
        self._probe, self._probe_at = None, now + self.latency.probe_s
        self._pace.forget()
        for ratio in self._probed if not slow else ():
            self._pace.add(now, ratio, self.latency.window_s)
        self._probed.clear()
        self._notes.state(self.upstream, self.model, slow=slow)

    def probe_due_s(self, now: float) -> float | None:
        """Say since when a probe is due; None while one is on its way or it is too early."""
        patience = 6 * self.latency.probe_s  # a probe that hangs must not keep the route from coming back
        if self._probe is not None and now - self._probe.began < patience:
            return None
        return now - self._probe_at if now >= self._probe_at else None

    def recovered(self, best: float) -> bool:
        """Judge the probes' answers: enough good ones in a row?"""
        if self._probed and self._probed[-1] > best * self.latency.back_factor:
            self._probed.clear()
            self._probe_at = self._clock.monotonic() + self.latency.probe_s
        return len(self._probed) >= _PROBES

    def began(self) -> "Ticket":
        """Note that a call begins; to a slow route it is a probe, unless one is on its way."""
        now = self._clock.monotonic()
        ticket = Ticket(self, now, self._marks)
        if self.slow and self.probe_due_s(now) is not None:
            self._probe = ticket
        self.in_flight += 1
        self._waiting[ticket] = None
        return ticket

    def answered(self, ticket: "Ticket", tokens: int | None) -> None:
        """Take the first event of a stream, or a plain answer of so many tokens."""
        now = self._clock.monotonic()
        seconds, span_s = now - ticket.began, self.latency.window_s
        if tokens is None:
            self._first.add(now, seconds)
            self._notes.first_event(self.upstream, self.model, seconds)
            self._judge(ticket, now, self._yardstick.first_event(now, seconds, span_s))
        else:
            self._whole.add(now, seconds)
            self._judge(ticket, now, self._yardstick.whole(now, seconds, tokens, span_s))

    def failed(self, ticket: "Ticket") -> None:
        """Take a call that brought no answer, or only a part of one."""
        self._judge(ticket, self._clock.monotonic(), _FAILED * self.latency.slow_factor)

    def left(self, ticket: "Ticket") -> None:
        """Forget a call that is over. One that was overdue counts as failed, whoever gave it up."""
        now = self._clock.monotonic()
        if ticket in self._waiting and self.patience_s is not None and now - ticket.began > self.patience_s:
            self.failed(ticket)
        self.in_flight -= 1
        self._stale -= ticket.marks != self._marks
        self._waiting.pop(ticket, None)
        if ticket is self._probe:  # nobody learned anything from it
            self._probe, self._probe_at = None, now + self.latency.probe_s

    def told(self, now: float) -> RouteState:
        """Say what is known."""
        first, whole = (each.quantiles(now, self.latency.window_s) for each in (self._first, self._whole))
        return RouteState(self.model, self.upstream, self.slow, self.pace(now), self.in_flight, first, whole)

    def _judge(self, ticket: "Ticket", now: float, ratio: float) -> None:
        self._waiting.pop(ticket, None)
        ratio = min(ratio, _FAILED * self.latency.slow_factor)
        if ticket is self._probe:
            self._probe, self._probe_at = None, now  # a good one is followed by the next at once
            self._probed.append(ratio)
        elif ticket.marks == self._marks and not self.slow:
            self._pace.add(now, ratio, self.latency.window_s)


class Ticket:
    """One call on a route, from when it began. What is said after its end counts for nothing."""

    def __init__(self, route: Route, began: float, marks: int) -> None:
        self.began = began
        self.marks = marks
        self._route = route
        self._answered = False
        self._over = False

    def first_event(self) -> None:
        """Say that a stream's first event is here."""
        if not self._answered and not self._over:
            self._answered = True
            self._route.answered(self, None)

    def ended(self, ok: bool, output_tokens: int = 0) -> None:
        """Say that the call is over: whole, or failed. The tokens are a plain answer's."""
        if self._over:
            return
        if not ok:
            self._route.failed(self)
        elif not self._answered:
            self._route.answered(self, output_tokens)
        self.dropped()

    def dropped(self) -> None:
        """Say that the call is over and tells nothing, such as when the client left."""
        if not self._over:
            self._over = True
            self._route.left(self)

    def broke(self, problem: BaseException) -> None:
        """Say what was raised in place of a reply: only what an overloaded or broken upstream does counts."""
        if isinstance(problem, Refusal) and counts_as_failed(problem.status):
            self.ended(ok=False)
        else:
            self.dropped()


def counts_as_failed(status: int) -> bool:
    """Say whether this status speaks of the upstream, not of the request."""
    return status >= 500 or status == _TOO_MANY
