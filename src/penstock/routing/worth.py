"""What a larger model costs more than the small one, and how a gain is held against that."""

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from math import log
from typing import Final

from penstock.exchange import Call, Exchange
from penstock.models.policy import ModelsPolicy
from penstock.openai.request import Request
from penstock.routing.asked import tokens_of
from penstock.routing.policy import Alias

_FOLLOWED: Final = 20  # answers that the mean follows
_STEP: Final = 1.25  # lengths are told in such steps: what hardly differs is equal, and a lot decides
_WAITING: Final = 64  # answers whose usage is not told yet
_ALIASES: Final = 10_000
_LIMITS: Final = ("max_completion_tokens", "max_output_tokens", "max_tokens")


@dataclass(slots=True)
class _Length:
    """How long the answers to one alias are: a mean that follows them, and those not yet told.

    Before any was seen it is 0: a first guess that is too low does no harm, one that is too high would
    count for more than all that follows.
    """

    tokens: float = 0.0
    seen: int = 0
    waiting: deque[list[Call]] = field(default_factory=lambda: deque(maxlen=_WAITING))

    def follow(self) -> None:
        """Take the answers that ended since."""
        told, self.waiting = self.waiting, deque(maxlen=_WAITING)
        for calls in told:
            if not calls or any(call.usage is None for call in calls):
                self.waiting.append(calls)
                continue
            for call in calls:
                if call.usage is not None:
                    self.seen = min(_FOLLOWED, self.seen + 1)
                    self.tokens += (call.usage.output_tokens - self.tokens) / self.seen


class Lengths:
    """How long answers are by tenant and alias, the longest unused forgotten."""

    def __init__(self) -> None:
        self._by: OrderedDict[tuple[str, str], _Length] = OrderedDict()

    def expect(self, exchange: Exchange, alias: str) -> float:
        """Give how many tokens an answer will have, within the client's limit; learn of this one later."""
        place = exchange.tenant, alias
        length = self._by.setdefault(place, _Length())
        self._by.move_to_end(place)
        if len(self._by) > _ALIASES:
            self._by.popitem(last=False)
        length.follow()
        length.waiting.append(exchange.calls)
        steps = round(log(length.tokens, _STEP)) if length.tokens >= 1 else 0
        return min([_STEP**steps if length.seen else 0.0, *_limits(exchange.request)])


def extra_cost(request: Request, alias: Alias, models: ModelsPolicy, output_tokens: float) -> float:
    """Give what the largest candidate costs more than the smallest, in 10^-12 dollars; at least 1."""
    small, large = (models.find(alias.candidates[place].model) for place in (0, -1))
    if small is None or large is None:
        return 1.0
    more_in = large.prices.input - small.prices.input
    more_out = large.prices.output - small.prices.output
    return max(1.0, tokens_of(request) * more_in + output_tokens * more_out)


def whole_cost(request: Request, model: str, models: ModelsPolicy, output_tokens: float) -> float:
    """Give what an answer of this model costs, in 10^-12 dollars; at least 1."""
    known = models.find(model)
    if known is None:
        return 1.0
    prices = known.prices
    return max(1.0, tokens_of(request) * prices.input + output_tokens * prices.output)


def worth(gain: float, cost: float, weight: float) -> float:
    """Give the gain for its cost; what gains nothing is worth no more where it costs more."""
    return gain / cost**weight if gain > 0 else gain


def _limits(request: Request) -> list[float]:
    body = request.body or {}
    return [body[name] for name in _LIMITS if isinstance(body.get(name), int) and body[name] > 0]
