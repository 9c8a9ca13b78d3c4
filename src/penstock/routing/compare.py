"""Comparing two models' answers to one request, without anybody's label."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from penstock.openai.gather import gather
from penstock.openai.request import Endpoint, Json, Request
from penstock.openai.sse import Event
from penstock.reply import Observer, Outcome
from penstock.routing.answer_features import answer_features, packed
from penstock.routing.canonical import agree
from penstock.routing.features import Features
from penstock.routing.gates import Judged, judge
from penstock.routing.judged import expected, judged

_MOST_BYTES: Final = 256 * 1024


class Compared(msgspec.Struct, frozen=True):
    """How good two answers are, from 0 to 1, and the features of the small one, of itself alone."""

    small: float
    large: float
    answer_features: bytes


def compared(request: Request, prompt: str, features: Features, small: Json, large: Json) -> Compared | None:
    """Compare two answers. The large one is taken to be right where both can be compared.

    So what is learned is agreement with a model that may err as well; what clients say is the better label.
    None where neither their meaning nor the gates tell the two apart.
    """
    one, other = judged(request, small, prompt), judged(request, large, prompt)
    if one is None or other is None:
        return None
    same = agree(one.text, other.text, expected(prompt))
    if same is None and not _passes(one) and _passes(other):
        same = False
    if same is None:
        return None
    return Compared(float(same), 1.0, packed(answer_features(prompt, features, one)))


def _passes(answer: Judged) -> bool:
    return all(verdict.passed for verdict in judge(answer))


class Collected(Observer):
    """Puts a stream together for whoever compares it, unless it is too long."""

    def __init__(self, endpoint: Endpoint, then: Callable[[Json], None]) -> None:
        self._endpoint = endpoint
        self._then = then
        self._events: list[Event] = []
        self._bytes = 0

    def event(self, event: Event) -> Sequence[Event]:
        """Note the event."""
        self._bytes += len(event.raw)
        if self._bytes <= _MOST_BYTES:
            self._events.append(event)
        return (event,)

    async def ended(self, outcome: Outcome) -> None:
        """Hand a whole answer on."""
        if outcome is Outcome.COMPLETE and self._bytes <= _MOST_BYTES:
            self._then(gather(self._endpoint, self._events))
