"""The cascade: the small model answers, its answer is judged, the large one is asked only if it must be."""

import asyncio
from asyncio import Task
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Self

from penstock.errors import Refusal, StoreUnavailable
from penstock.exchange import Exchange
from penstock.openai.request import Json
from penstock.reply import Reply
from penstock.routing.answered import Answered, whole
from penstock.routing.ask import STAGE, Asker, Proceed
from penstock.routing.cascade import Trust, judgement
from penstock.routing.judged import expected
from penstock.routing.policy import Candidate, Cascade
from penstock.routing.think import Thought

TrustOf = Callable[[str, str], Trust]
"""Gives what is known of the small model's answers to a tenant's alias."""

_OF_CALL: Final = ("request", "target", "upstream", "provider", "model", "usage", "sent")
_TOLD: Final[tuple[str, ...]] = ("x-dac-model", "x-dac-upstream")


@dataclass(frozen=True, slots=True)
class _Answer:
    """What an exchange says of the answer that it has, should it be the one that goes out."""

    fields: dict[str, Any]
    told: dict[str, str]
    received: bytes

    @classmethod
    def on(cls, exchange: Exchange) -> Self:
        """Take it down, and make room for another's."""
        fields = {name: getattr(exchange, name) for name in _OF_CALL}
        told = {name: exchange.answer_headers[name] for name in _TOLD if name in exchange.answer_headers}
        received = bytes(exchange.received)
        exchange.received.clear()
        return cls(fields, told, received)

    def restore(self, exchange: Exchange) -> None:
        """Say it again."""
        for name, value in self.fields.items():
            setattr(exchange, name, value)
        exchange.answer_headers.update(self.told)
        exchange.received[:] = self.received


@dataclass(frozen=True, slots=True)
class Escalation:
    """One cascade of one request."""

    exchange: Exchange
    thought: Thought
    cascade: Cascade
    larger: Candidate
    asker: Asker
    trust: TrustOf
    proceed: Proceed

    async def run(self) -> Reply:
        """Give the answer that goes out."""
        thought, opinion = self.thought, self._second_opinion()
        try:
            choice = thought.choice
            deadline = asyncio.get_running_loop().time() + self.cascade.hold_s
            reply = await self.asker.ask(self.exchange, thought, choice.candidate, choice.why, self.proceed)
            answered = await Answered.of(reply, thought.asked.endpoint, self.cascade.hold_s)
            if answered.answer is None:
                return answered.release()
            second = await self._told(opinion, deadline) if opinion is not None else None
        finally:
            if opinion is not None and not opinion.done():
                opinion.cancel()
                await asyncio.wait([opinion])
        trust = self.trust(self.exchange.tenant, thought.name)
        judged = judgement(
            self.cascade, thought.asked, thought.prompt, thought.features, answered.answer, trust, second
        )
        if judged.passed:
            self.exchange.decide(STAGE, "kept", f"confidence {judged.confidence:+.3f}")
            return answered.release()
        return await self._escalate(answered, judged.reason)

    async def _escalate(self, answered: Answered, reason: str) -> Reply:
        """Ask the large model; where that brings nothing, the small one's answer is better than none."""
        failure = "the budget has no room for more"
        small = _Answer.on(self.exchange)
        if await self._affords(self.larger.model):
            try:
                reply = await self.asker.ask_paid(self.exchange, self.thought, self.larger, self.proceed)
                if reply.status == 200:
                    await answered.drop()
                    self.exchange.escalated = True
                    self.exchange.decide(STAGE, "escalated", reason)
                    return reply
                failure = f"{self.larger.model} answered {reply.status}"
                await reply.aclose()
            except Refusal as refusal:
                failure = f"{self.larger.model} failed: {refusal.code}"
        small.restore(self.exchange)
        self.asker.keep(self.exchange, self.thought, self.thought.choice.candidate)
        self.exchange.decide(STAGE, "kept", f"{reason}, but {failure}")
        return answered.release()

    def _second_opinion(self) -> Task[Json | None] | None:
        """Ask a cheap model at the same time, where its answer could be compared."""
        model = self.cascade.second_opinion
        if model is None or expected(self.thought.prompt) is None:
            return None
        return asyncio.get_running_loop().create_task(self._opinion(model))

    async def _opinion(self, model: str) -> Json | None:
        if not await self._affords(model):
            return None
        asked = self.thought.asked
        body = {**(asked.body or {}), "model": model, "stream": False}
        body.pop("stream_options", None)
        other = replace(
            self.exchange,
            request=asked.with_body(body),
            target=None,
            answer_headers={},
            sharers=[],
            received=bytearray(),
        )
        try:
            return await whole(await self.proceed(other), asked.endpoint)
        except Refusal:
            return None

    async def _told(self, opinion: Task[Json | None], deadline: float) -> Json | None:
        """Wait for the opinion; of a stream's client not longer than it may be held."""
        left_s = deadline - asyncio.get_running_loop().time() if self.thought.asked.stream else None
        await asyncio.wait([opinion], timeout=left_s and max(0.0, left_s))
        return opinion.result() if opinion.done() else None

    async def _affords(self, model: str) -> bool:
        """Say whether a further call is paid for; it is not worth a failure where an answer is there."""
        try:
            return await self.asker.affords(self.exchange, model)
        except StoreUnavailable:
            return False
