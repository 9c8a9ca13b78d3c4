"""Shadow traffic: a few requests are asked of both models, beside the road, and compared."""

import asyncio
from asyncio import Task
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import Final

import msgspec

from penstock.errors import Refusal, StoreUnavailable
from penstock.exchange import Exchange
from penstock.openai import wire_json
from penstock.openai.request import Json
from penstock.reply import Reply
from penstock.routing.answer_features import answer_of
from penstock.routing.answered import Cascaded, whole
from penstock.routing.ask import Proceed
from penstock.routing.compare import Collected, Compared, compared
from penstock.routing.judged import expected
from penstock.routing.outcomes import Learned, Outcome, Outcomes
from penstock.routing.policy import RoutingPolicy
from penstock.routing.think import Thought

_FIRST: Final = 1_000  # outcomes; from there on more of them say little that is new

Count = Callable[[str, str], int]
"""Gives how many outcomes of a tenant's alias are known."""


class Shadow:
    """Asks the model that did not answer, once the answer is whole. The call is paid by the tenant.

    Where the small answer was judged and the large model asked after it, both are known already.
    """

    def __init__(self, outcomes: Outcomes, rng: Random, count: Count) -> None:
        self._outcomes = outcomes
        self._rng = rng
        self._count = count
        self._asking: set[Task[None]] = set()

    async def stop(self) -> None:
        """Ask no more."""
        for task in self._asking:
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)

    def follow(self, exchange: Exchange, thought: Thought, reply: Reply, proceed: Proceed) -> Reply:
        """Let chance decide whether this answer is compared, and give it as it is."""
        alias = thought.alias
        pair = _Pair(exchange, thought, alias.candidates[0].model, alias.candidates[-1].model, proceed)
        served = _served(exchange, reply)
        if not pair.knows(served) or reply.status != 200 or exchange.ephemeral:
            return reply
        if self._rng.random() >= self._share(exchange, thought):
            return reply
        judged = reply.small if isinstance(reply, Cascaded) and pair.small_was_first() else None

        def compare(answer: Json) -> None:
            answers = {served: answer} if judged is None else {pair.small: judged, served: answer}
            task = asyncio.get_running_loop().create_task(self._compare(pair, answers))
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

        if reply.stream is not None:
            return reply.observed_by(Collected(thought.asked.endpoint, compare))
        compare(wire_json.decode(reply.body))
        return reply

    def _share(self, exchange: Exchange, thought: Thought) -> float:
        """Give the share of requests that are compared: more at first, as then each of them says most."""
        share, first = thought.alias.shadow, exchange.policies[RoutingPolicy].learn.shadow_first
        if not share or first <= share or self._count(exchange.tenant, thought.name) >= _FIRST:
            return share
        return first

    async def _compare(self, pair: "_Pair", answers: dict[str, Json]) -> None:
        """Ask whoever has not answered, and note how the two compare."""
        for model in (pair.small, pair.large):
            if model not in answers:
                if (other := await pair.ask(model)) is None:
                    return
                answers[model] = other
        exchange, thought = pair.exchange, pair.thought
        small, large = answers[pair.small], answers[pair.large]
        found = compared(thought.asked, thought.prompt, thought.features, small, large)
        if found is not None:
            seen = pair.features(found)
            told = Outcome(exchange.tenant, thought.name, exchange.learned, found.small, found.large)
            right = found.small > 0 if seen else None
            self._outcomes.put(msgspec.structs.replace(told, answer_features=seen, small_right=right))


@dataclass(frozen=True, slots=True)
class _Pair:
    """One request and the two models that are compared on it."""

    exchange: Exchange
    thought: Thought
    small: str
    large: str
    proceed: Proceed

    def knows(self, served: str) -> bool:
        """Whether there is another model to compare with the one that answered."""
        return self.small != self.large and served in (self.small, self.large)

    def small_was_first(self) -> bool:
        """Whether it was the small one whose answer was judged, not one between the two."""
        return self.thought.choice.candidate.model == self.small

    def features(self, found: Compared) -> bytes:
        """Give the features that a judgement of the small answer sees; empty where it would see others."""
        learned = msgspec.msgpack.decode(self.exchange.learned, type=Learned)
        if learned.answer is not None and self.small_was_first():
            return answer_of(learned)
        cascade, prompt = self.thought.alias.cascade, self.thought.prompt
        if cascade is None or (
            "logprobs" not in cascade.gates and not (cascade.second_opinion and expected(prompt))
        ):
            return found.answer_features
        return b""

    async def ask(self, model: str) -> Json | None:
        """Ask one of them, for the tenant's money."""
        exchange, asked = self.exchange, self.thought.asked
        body = {**(asked.body or {}), "model": model, "stream": False}
        body.pop("stream_options", None)
        copy = replace(
            exchange,
            request=asked.with_body(body),
            target=None,
            calls=[],
            sharers=[],
            decisions=[],
            timings={},
            answer_headers={},
            received=bytearray(),
            attempts=0,
        )
        try:
            paid = exchange.purse.beside(copy, self.proceed) if exchange.purse else self.proceed(copy)
            reply = await paid
        except (Refusal, StoreUnavailable):
            return None
        return await whole(reply, asked.endpoint) if reply else None


def _served(exchange: Exchange, reply: Reply) -> str:
    """Name the model whose answer goes out; a second opinion is among the calls, too."""
    if isinstance(reply, Cascaded):
        return reply.model
    return exchange.calls[-1].model if exchange.calls else ""
