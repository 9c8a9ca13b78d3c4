"""A stream with the client's own values in place of their placeholders, event by event.

Every text of a stream has a lane: one for each choice, field and call. An event in which nothing changes
goes on as the very object that came. What a lane holds back comes out, as an event of the right shape,
before the event that ends its text.
"""

from collections.abc import Sequence

from penstock.openai.request import Endpoint
from penstock.openai.sse import DONE, Event
from penstock.redaction.answer import AnswerRules
from penstock.redaction.choice_lanes import ChoiceLanes
from penstock.redaction.lanes import Lanes
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
            self._lanes = ChoiceLanes(endpoint, lanes, json_text=json_text)

    def event(self, event: Event) -> Sequence[Event]:
        """Give what goes on in this event's place."""
        if self._idle or event.data is None:
            return (event,)
        if event.data.startswith(DONE):
            return (*self._lanes.rest(), event)
        told = event.json
        if not isinstance(told, dict):
            return (event,)
        return self._lanes.event(event, told)

    def last(self) -> Sequence[Event]:
        """Give what is still held back when the stream ends whole."""
        return () if self._idle else tuple(self._lanes.rest())
