"""Counting: what became of an exchange, for the arms that it was in."""

import asyncio
from collections.abc import Sequence
from typing import Final

from penstock.clock import Clock
from penstock.exchange import Exchange
from penstock.experiment import measure
from penstock.experiment.measure import Ended
from penstock.experiment.seating import Seat
from penstock.experiment.tally import Tally
from penstock.reply import Observer, Outcome, Stream

_USAGE_S: Final = 0.5


class Counting:
    """Counts one exchange, from now until it has ended."""

    def __init__(self, exchange: Exchange, seats: Sequence[Seat], tally: Tally, clock: Clock) -> None:
        self.exchange = exchange
        self._seats = seats
        self._tally = tally
        self._clock = clock
        self._began = clock.monotonic()

    def ended(self, status: int | None, at: float | None = None) -> None:
        """Count it with this status, None where the client left; it ended `at`, or else just now."""
        ended = Ended(status, (self._clock.monotonic() if at is None else at) - self._began)
        for seat in self._seats:
            if seat.bucket is not None:
                measure.count(self._tally.of(seat.cell), self.exchange, ended, seat.bucket)

    def ended_soon(self, status: int) -> None:
        """Count it as ended now, once its usage is known.

        A call that several share may tell its usage a moment after its readers have left.
        """
        if any(call.usage is None for call in self.exchange.calls):
            now = self._clock.monotonic()
            asyncio.get_running_loop().call_later(_USAGE_S, self.ended, status, now)
        else:
            self.ended(status)


class CountedStream(Observer):
    """Counts a stream at its end; one that the client left says nothing about the arm."""

    def __init__(self, counting: Counting, stream: Stream) -> None:
        self._counting = counting
        self._stream = stream

    async def ended(self, outcome: Outcome) -> None:
        """Count it."""
        if outcome is Outcome.ABANDONED:
            self._counting.ended(None)
        else:
            failure = self._stream.failure if outcome is Outcome.FAILED else None
            self._counting.ended_soon(measure.status_of(failure))
