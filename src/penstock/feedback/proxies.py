"""Proxies: what a client's next request says about the answer before it. Only hashes are kept."""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from penstock.exchange import Exchange
from penstock.feedback.decided import Decided
from penstock.feedback.policy import FeedbackPolicy, Sign
from penstock.openai import wire_json
from penstock.openai.request import Endpoint, Request

_WORD: Final = re.compile(r"\w+")
_MOST_WORDS: Final = 200
_FEW_WORDS: Final = 4  # below that, pairs of letters say more than words
_SKETCH: Final = 64
_INSTRUCTIONS: Final = ("system", "developer")


@dataclass(frozen=True, slots=True)
class Print:
    """What a request was, in hashes: what was before the last question, that question, and its pieces.

    `begins` says that nothing but instructions was before it, `short` that a few words say little.
    """

    history: bytes
    said: bytes
    question: frozenset[int]
    begins: bool
    short: bool

    @classmethod
    def of(cls, request: Request) -> "Print | None":
        """Take a request's print; None where it asks nothing new in words, as in a tool's loop."""
        history, question = _asked(request)
        if not question:
            return None
        body = request.body or {}
        return cls(
            _hash(wire_json.encode([body.get("instructions"), history])),
            _hash(wire_json.encode(question)),
            sketch(question),
            all(isinstance(each, Mapping) and each.get("role") in _INSTRUCTIONS for each in history),
            len(_WORD.findall(question[:200])) < _FEW_WORDS,
        )


@dataclass(slots=True)
class Turn:
    """The latest request of a thread. `decided` comes once it is answered."""

    print: Print
    at: float
    request_id: str = ""
    decided: Decided | None = None
    judged: bool = False


class Threads:
    """The latest turn of each thread, of the threads that were heard of last."""

    def __init__(self) -> None:
        self._turns: OrderedDict[bytes, Turn] = OrderedDict()

    def __len__(self) -> int:
        return len(self._turns)

    def latest(self, thread: bytes) -> Turn | None:
        """Give a thread's latest turn."""
        return self._turns.get(thread)

    def next(self, thread: bytes, turn: Turn, most: int) -> Turn | None:
        """Note a thread's new turn, and give the one before it."""
        before = self._turns.pop(thread, None)
        self._turns[thread] = turn
        while len(self._turns) > most:
            self._turns.popitem(last=False)
        return before


def sign(before: Turn, now: Turn, policy: FeedbackPolicy, *, known: bool) -> Sign | None:
    """Say what the second of two turns means for the first.

    `known` says that both are surely of one person or conversation; without that, two requests that
    merely begin alike are no sign. Whether a repeated request was answered anew is for the caller to see.
    """
    if now.at - before.at > policy.within_s:
        return None
    alike = likeness(now.print.question, before.print.question)
    if now.print.history != before.print.history:
        if alike >= policy.similar:
            return None if now.print.short else "re_ask"
        return None if now.print.begins else "went_on"
    if now.print.begins and not known:
        return None
    if now.print.said == before.print.said:
        return "regenerated"
    # Without any history, a client that sends only its last message may just have gone on.
    return "edited" if not now.print.begins or alike >= policy.similar else None


def own_signs(exchange: Exchange, *, left: bool) -> Iterator[Sign]:
    """Give what an exchange says about its own answer."""
    if left:
        yield "abandoned"
    if exchange.escalated:
        yield "escalated"
    if exchange.attempts > max(1, len(exchange.calls)):
        yield "fallback"


def sketch(text: str) -> frozenset[int]:
    """Give the smallest hashes of a text's words and pairs of words: a bottom-k sketch (Broder 1997).

    Python's own hash has a new salt in every process, so that nobody can look words up in it.
    """
    words = [match[0] for match in _WORD.finditer(text[: 40 * _MOST_WORDS].lower())][:_MOST_WORDS]
    pieces = words if len(words) >= _FEW_WORDS else list(" ".join(words))
    hashes = {hash(piece) for piece in pieces} | {hash(pair) for pair in pairwise(pieces)}
    return frozenset(sorted(hashes)[:_SKETCH])


def likeness(one: frozenset[int], other: frozenset[int]) -> float:
    """Estimate the share of two texts' pieces that they have in common."""
    union = sorted(one | other)[:_SKETCH]
    return sum(1 for each in union if each in one and each in other) / len(union) if union else 1.0


def _hash(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=16).digest()


def _asked(request: Request) -> tuple[Sequence[Any], str]:
    """Give what was before the last question, and the question's text; no text where none is asked."""
    body = request.body or {}
    match request.endpoint:
        case Endpoint.CHAT:
            said = body.get("messages")
        case Endpoint.RESPONSES:
            said = body.get("input")
        case Endpoint.COMPLETIONS:
            said = body.get("prompt")
        case _:
            return (), ""
    links = ("previous_response_id", "conversation") if request.endpoint is Endpoint.RESPONSES else ()
    before = [body[link] for link in links if body.get(link) is not None]
    if isinstance(said, str):
        return before, said
    last = said[-1] if isinstance(said, list) and said else None
    if not isinstance(said, list) or not isinstance(last, Mapping) or last.get("role") != "user":
        return (), ""
    return [*before, *said[:-1]], _text(last.get("content"))


def _text(content: Any) -> str:  # noqa: ANN401 - any JSON may have come
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    texts = [part.get("text") for part in parts if isinstance(part, Mapping)]
    return "\n".join(text for text in texts if isinstance(text, str))
