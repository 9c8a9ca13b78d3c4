"""Which of a model's upstreams answers: the lighter of two drawn by lot, or a slow one to see if it is back.

Light is an upstream that answers fast and has few calls on their way: its load is its pace times the calls
it would then have. Where loads are about equal, the calls decide, then the lot. So a share follows the
pace before anything is marked. An upstream is marked as slow when its pace is `slow_factor` times that of
the best, failures included, or when its calls don't come back. Then it gets one request at a time as a
probe, until three in a row took less than `back_factor` times what the best takes.
"""

import random
from collections.abc import Sequence
from typing import Final

from penstock.clock import Clock
from penstock.openai.usage import Usage
from penstock.reply import Reply
from penstock.routing.policy import Latency
from penstock.routing.route import Notes, Route, RouteState, Ticket, counts_as_failed
from penstock.routing.watch_latency import WatchLatency
from penstock.routing.yardstick import Yardstick

_EQUAL: Final = 1.25  # times the other's load: less is noise
_TOKEN_BYTES: Final = 4  # of an answer that tells no usage


class _Nobody:
    """Notes that nobody takes."""

    def first_event(self, upstream: str, model: str, seconds: float) -> None:
        pass

    def state(self, upstream: str, model: str, *, slow: bool) -> None:
        pass


class Balance:
    """Knows every route that was asked for. Models are those of the policies, so their number is bounded."""

    def __init__(self, clock: Clock, rng: random.Random, notes: Notes | None = None) -> None:
        self._clock = clock
        self._rng = rng
        self._notes = notes or _Nobody()
        self._routes: dict[tuple[str, str], Route] = {}
        self._yardsticks: dict[str, Yardstick] = {}

    def choose(
        self, model: str, upstreams: Sequence[str], latency: Latency, prefer: str | None = None
    ) -> str:
        """Give the upstream that answers, out of at least one; `prefer` is kept unless it is slow."""
        if len(upstreams) == 1:
            return upstreams[0]
        routes = [self._route(model, upstream) for upstream in upstreams]
        for route in routes:
            route.latency = latency
        now = self._clock.monotonic()
        self._mark(routes, now)
        if (probe := self._probe(routes, prefer, now)) is not None:
            return probe
        open_to_all = [route for route in routes if not route.slow] or routes
        if any(route.upstream == prefer for route in open_to_all):
            return prefer or ""
        if len(open_to_all) == 1:
            return open_to_all[0].upstream
        one, other = self._rng.sample(open_to_all, 2)
        return _lighter(one, other, now, _best(open_to_all, now)).upstream

    def began(self, upstream: str, model: str) -> Ticket:
        """Note that a call begins."""
        return self._route(model, upstream).began()

    def follow(self, ticket: Ticket, reply: Reply, usage: Usage | None = None) -> Reply:
        """Hang an observer on a stream; a plain reply closes the ticket, its length told by its usage."""
        if reply.stream is not None:
            return reply.observed_by(WatchLatency(ticket, reply.stream))
        if reply.status < 400:
            tokens = usage.output_tokens if usage else len(reply.body) // _TOKEN_BYTES
            ticket.ended(ok=True, output_tokens=tokens)
        elif counts_as_failed(reply.status):
            ticket.ended(ok=False)
        else:
            ticket.dropped()
        return reply

    def slowdown(self, model: str) -> float:
        """Give how many times longer than usual a model takes at the best of its upstreams; 1 if unknown."""
        now = self._clock.monotonic()
        return max(1.0, _best([route for (its, _), route in self._routes.items() if its == model], now))

    def states(self) -> list[RouteState]:
        """Say what is known of every route, by model and upstream."""
        now = self._clock.monotonic()
        return [self._routes[at].told(now) for at in sorted(self._routes)]

    def _route(self, model: str, upstream: str) -> Route:
        if (route := self._routes.get((model, upstream))) is None:
            yardstick = self._yardsticks.setdefault(model, Yardstick())
            route = Route(model, upstream, self._clock, yardstick, self._notes)
            self._routes[model, upstream] = route
        return route

    def _mark(self, routes: Sequence[Route], now: float) -> None:
        """Mark those that became slow, and end the marks of those that are back."""
        usable = [route for route in routes if not route.slow]
        best = _best(usable, now)
        for route in routes:
            if route.slow:
                if route.recovered(best):
                    route.mark(now, slow=False)
            elif _is_slow(route, [other for other in usable if other is not route], best, now):
                route.mark(now, slow=True)
                usable.remove(route)

    def _probe(self, routes: Sequence[Route], prefer: str | None, now: float) -> str | None:
        """Give a slow upstream whose probe is due; one that is well elsewhere is used last."""
        for route in routes:
            due_s = route.probe_due_s(now) if route.slow else None
            settled = prefer is not None and prefer != route.upstream
            if due_s is not None and due_s >= (2 * route.latency.probe_s if settled else 0.0):
                return route.upstream
        return None


def _best(routes: Sequence[Route], now: float) -> float:
    """Give the best known pace; where none is known, what is usual."""
    return min((pace for route in routes if (pace := route.pace(now)) is not None), default=1.0)


def _is_slow(route: Route, others: Sequence[Route], best: float, now: float) -> bool:
    """Say whether it is slow beside others, none of which is."""
    if not others:
        return False
    pace, factor = route.pace(now), route.latency.slow_factor
    longest = [told for other in others if (told := other.longest_s(now)) is not None]
    if longest:  # kept from before where nothing is known just now
        route.patience_s = min(longest) * factor
    return (pace is not None and pace > best * factor) or route.overdue(now)


def _lighter(one: Route, other: Route, now: float, best: float) -> Route:
    loads = one.load(now, best), other.load(now, best)
    if loads[0] * _EQUAL < loads[1]:
        return one
    if loads[1] * _EQUAL < loads[0]:
        return other
    return other if other.open_calls < one.open_calls else one
