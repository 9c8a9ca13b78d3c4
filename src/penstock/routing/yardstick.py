"""What a model's answers usually take, so that a short stream and a long plain answer can be compared."""

from typing import Final

from penstock.routing.windows import Mean, left

_SLOWER: Final = 20  # a yardstick forgets this many times slower than the windows it is held against
_WEIGHT: Final = 1024.0
_SHORT_TOKENS: Final = 64.0  # below it an answer's time is mostly waiting; above, mostly its length


class Line:
    """What a plain answer of so many tokens takes: a start and a pace, by decayed least squares.

    Errors count relative to the length, so that a few long answers don't decide what short ones take.
    """

    def __init__(self) -> None:
        self._sums = [0.0] * 5  # of weights, and of these times x, y, xx, xy
        self._last = 0.0

    def add(self, at: float, tokens: int, seconds: float, span_s: float) -> None:
        """Take an answer."""
        kept = min(left(at - self._last, span_s), 1 - 1 / _WEIGHT)
        weight = (1 + tokens / _SHORT_TOKENS) ** -2
        terms = (1.0, tokens, seconds, tokens * tokens, tokens * seconds)
        self._sums = [old * kept + weight * term for old, term in zip(self._sums, terms, strict=True)]
        self._last = at

    def expected_s(self, tokens: int) -> float:
        """Give what an answer of this length takes; at least one answer was added before."""
        weight, x, y, xx, xy = self._sums
        mean_x, mean_y = x / weight, y / weight
        spread = xx / weight - mean_x * mean_x
        pace = max(0.0, (xy / weight - mean_x * mean_y) / spread) if spread > 1e-6 else 0.0
        start = mean_y - pace * mean_x
        if start < 0:  # no answer is there before it is asked for
            start, pace = 0.0, mean_y / mean_x
        return start + pace * tokens


class Yardstick:
    """Measures answers of one model against what it takes at all of its upstreams together.

    A ratio is 1 where a call took what is usual: a stream to its first event, a plain answer for its
    length. It moves slowly: while one upstream becomes slower, the ratios before and after mean the same.
    """

    def __init__(self) -> None:
        self._first = Mean(_WEIGHT)
        self._whole = Line()

    def first_event(self, at: float, seconds: float, span_s: float) -> float:
        """Take a stream's first event, and give its ratio."""
        self._first.add(at, seconds, span_s * _SLOWER)
        return _ratio(seconds, self._first.value)

    def whole(self, at: float, seconds: float, tokens: int, span_s: float) -> float:
        """Take a plain answer of so many tokens, and give its ratio."""
        self._whole.add(at, tokens, seconds, span_s * _SLOWER)
        return _ratio(seconds, self._whole.expected_s(tokens))


def _ratio(seconds: float, usual_s: float) -> float:
    return seconds / usual_s if usual_s > 0 else 1.0
