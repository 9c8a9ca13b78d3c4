"""Tells a call's ticket when its stream begins and how it ends."""

from collections.abc import Sequence

from penstock.openai.sse import Event
from penstock.reply import Observer, Outcome, Stream
from penstock.routing.route import Ticket
from penstock.upstream.failures import UpstreamFailed


class WatchLatency(Observer):
    """Watches one stream and changes nothing.

    Comments are no first event: some providers send them while a request waits in their queue. What
    follows the first event says nothing of speed, since a client that reads slowly slows it down as well.
    """

    def __init__(self, ticket: Ticket, stream: Stream) -> None:
        self._ticket = ticket
        self._stream = stream
        self._begun = False

    def event(self, event: Event) -> Sequence[Event]:
        """Give the event as it is."""
        if not self._begun and event.data is not None:
            self._begun = True
            self._ticket.first_event()
        return (event,)

    async def ended(self, outcome: Outcome) -> None:
        """Close the ticket; a stream that one of our own stages ended is not the upstream's fault."""
        if outcome is Outcome.COMPLETE and self._begun:
            self._ticket.ended(ok=True)
        elif outcome is Outcome.FAILED and isinstance(self._stream.failure, UpstreamFailed):
            self._ticket.ended(ok=False)
        else:
            self._ticket.dropped()
