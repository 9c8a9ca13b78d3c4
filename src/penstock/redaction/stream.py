"""A stream with the client's own values in place of their placeholders, event by event.

Every text of a stream has a lane: one for each choice, field and call. An event in which nothing changes
goes on as the very object that came. What a lane holds back comes out, as an event of the right shape,
before the event that ends its text.
"""

from collections.abc import Sequence

from penstock.errors import Refusal
from penstock.openai.request import Endpoint
from penstock.openai.sse import DONE, Event
from penstock.redaction.answer import AnswerRules
from penstock.redaction.choice_lanes import ChoiceLanes
from penstock.redaction.lanes import Lanes, rewritten
from penstock.redaction.response_lanes import ResponseLanes
from penstock.redaction.restore import Restorer
from penstock.redaction.vault import Vault
from penstock.reply import Observer


class StreamRestorer(Observer):
    """Restores the stream of one exchange.

    `json_text` is what `wants_json` says of the request; `rules` has the answer read as well, and then
    `event` and `last` raise Blocked for what the policy does not let through.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        vault: Vault,
        *,
        json_text: bool = False,
        rules: AnswerRules | None = None,
    ) -> None:
        self._idle = not vault.size and rules is None
        lanes = Lanes(vault, rules)
        self._restorer = Restorer(endpoint, vault, json_text=json_text, rules=rules)
        self._lanes: ChoiceLanes | ResponseLanes
        if endpoint is Endpoint.RESPONSES:
            self._lanes = ResponseLanes(lanes, self._restorer, json_text=json_text)
        else:
            self._lanes = ChoiceLanes(endpoint, lanes, self._restorer, json_text=json_text)

    def event(self, event: Event) -> Sequence[Event]:
        """Give what goes on in this event's place."""
        if self._idle:
            return (event,)
        event = self._read_lines(event)
        if event.data is None:
            return (event,)
        if event.data.startswith(DONE):
            return (*self._lanes.rest(), event)
        told = event.json
        if isinstance(told, dict):
            return self._lanes.event(event, told)
        if self._restorer.around.reads:
            raise Refusal(502, "redaction_unavailable", "An event of the answer can't be read.")
        return (event,)

    def refused(self, event: Event) -> Event:
        """Give the event that tells the client of a failure, without what may not go on."""
        if self._idle or event.data is None or not isinstance(event.json, dict):
            return event
        new = self._restorer.value(event.json, "", "")
        return event if new is event.json else rewritten(event, new)

    def _read_lines(self, event: Event) -> Event:
        """Give an event without the comments and names in its lines in which something stands."""
        around, data = self._restorer.around, event.data
        if not around.reads:
            return event
        if data is None:
            return event if around.clean(event.raw.decode("utf-8", "replace")) else Event(b":\n\n")
        if data.startswith(DONE):  # what follows the mark is nobody's to see
            return Event(b"data: [DONE]\n\n", DONE, final=event.final)
        if event.raw == b"data: %s\n\n" % data:
            return event
        beside = event.raw.replace(data, b"").decode("utf-8", "replace")
        if event.raw.count(data) == 1 and around.clean(beside):
            return event
        name = event.name if around.clean(event.name) else ""
        head = f"event: {name}\n".encode() if name else b""
        lines = b"".join(b"data: %s\n" % line for line in data.split(b"\n"))
        return Event(b"%s%s\n" % (head, lines), data, name, event.final)

    def last(self) -> Sequence[Event]:
        """Give what is still held back when the stream ends whole."""
        return () if self._idle else tuple(self._lanes.rest())
