"""The cascade: the small model answers, its answer is judged, the large one is asked only if it must be."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Final, Self

from penstock.errors import Refusal
from penstock.exchange import Exchange
from penstock.openai.request import Json
from penstock.reply import Reply
from penstock.routing.answer_features import with_answer
from penstock.routing.answered import Answered, Cascaded
from penstock.routing.ask import NO_ROOM, STAGE, Asker, Proceed
from penstock.routing.cascade import Judgement, Trust, judgement, scored
from penstock.routing.judged import expected
from penstock.routing.logprobs import asking, refused
from penstock.routing.opinion import Opinion
from penstock.routing.policy import Candidate, Cascade
from penstock.routing.think import Thought

TrustOf = Callable[[str, str], Trust]
"""Gives what is known of the small model's answers to a tenant's alias."""

_OF_CALL: Final = ("request", "target", "upstream", "provider", "model", "usage", "sent")
_TOLD: Final[tuple[str, ...]] = ("x-dac-model", "x-dac-upstream")


@dataclass(frozen=True, slots=True)
class _Said:
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
class _Small:
    """The small model's answer, and which candidate gave it."""

    candidate: Candidate
    answered: Answered


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
        opinion, second = self._second_opinion(), None
        try:
            deadline = asyncio.get_running_loop().time() + self.cascade.hold_s
            small = await self._ask_small()
            answer, broken = small.answered.answer, small.answered.broken
            if opinion is not None and answer is not None:
                second = await opinion.told(self._left_s(deadline))
        finally:
            if opinion is not None:
                await opinion.close()
        if broken is not None:
            return await self._escalate(small, f"the small stream broke: {broken.code}")
        if answer is None:
            return small.answered.release()
        judged = self._judge(answer, second)
        if not judged.passed:
            return await self._escalate(small, judged.reason)
        self.exchange.decide(STAGE, "kept", f"confidence {judged.confidence:+.3f}")
        return self._kept(small)

    async def _ask_small(self) -> _Small:
        """Ask the small model; for log-probabilities too, where a gate reads them and the client doesn't."""
        exchange, thought, asker = self.exchange, self.thought, self.asker
        candidate = await asker.paid(exchange, thought, thought.choice.candidate, thought.choice.why)
        asked = asking(thought.asked) if self._reads_logprobs(candidate.model) else None
        reply = await asker.ask_paid(exchange, thought, candidate, self.proceed, asked)
        if asked is not None and refused(reply):
            asked = None
            exchange.attempts -= 1  # nobody failed: the question was ours
            exchange.received.clear()
            reply = await asker.ask_paid(exchange, thought, candidate, self.proceed)
            if reply.status == 200:  # else it was about something else
                asker.refusers.add(candidate.model, asker.clock.monotonic())
        endpoint, longest_s = thought.asked.endpoint, self.cascade.hold_s
        return _Small(candidate, await Answered.of(reply, endpoint, longest_s, unasked=asked is not None))

    def _reads_logprobs(self, model: str) -> bool:
        asker = self.asker
        return "logprobs" in self.cascade.gates and not asker.refusers.know(model, asker.clock.monotonic())

    def _judge(self, answer: Json, second: Json | None) -> Judgement:
        """Judge the small answer, and let what was seen of it be learned from once its outcome is known."""
        exchange, thought = self.exchange, self.thought
        trust = self.trust(exchange.tenant, thought.name)
        judged = judgement(
            self.cascade, thought.asked, thought.prompt, thought.features, answer, trust, second
        )
        if judged.features is None:
            return judged
        exchange.learned = with_answer(exchange.learned, judged.features)
        return self._scored(judged, trust)

    def _scored(self, judged: Judgement, trust: Trust) -> Judgement:
        """Let the trained score send its share to the large model; what failed already is part of that."""
        share = self.cascade.large_share
        if share is None or not scored(self.cascade, trust):
            return judged
        gain = judged.gain if judged.passed else inf
        rank = self.asker.thinker.rank_answer(self.exchange, self.thought, trust.gain, gain)
        if not judged.passed or rank < 1 - share or gain <= 0:
            return judged
        why = f"gain {gain:+.3f}, above {rank:.0%} of the latest answers"
        return replace(judged, passed=False, reason=why)

    async def _escalate(self, small: _Small, reason: str) -> Reply:
        """Ask the large model; where that brings nothing, the small one's answer is better than none."""
        failure = NO_ROOM
        said = _Said.on(self.exchange)
        if await self.asker.affords_more(self.exchange, self.larger.model):
            try:
                reply = await self.asker.ask_paid(self.exchange, self.thought, self.larger, self.proceed)
                if reply.status == 200:
                    await small.answered.drop()
                    self.exchange.escalated = True
                    self.exchange.decide(STAGE, "escalated", reason)
                    return Cascaded.by(reply, self.larger.model, small.answered.answer)
                failure = f"{self.larger.model} answered {reply.status}"
                await reply.aclose()
            except Refusal as refusal:
                failure = f"{self.larger.model} failed: {refusal.code}"
        said.restore(self.exchange)
        self.asker.keep(self.exchange, self.thought, small.candidate)
        self.exchange.decide(STAGE, "kept", f"{reason}, but {failure}")
        return self._kept(small)

    def _kept(self, small: _Small) -> Reply:
        return Cascaded.by(small.answered.release(), small.candidate.model, small.answered.answer)

    def _second_opinion(self) -> Opinion | None:
        """Ask a cheap model at the same time, where its answer could be compared."""
        model, thought = self.cascade.second_opinion, self.thought
        if model is None or expected(thought.prompt) is None:
            return None
        return Opinion.begun(self.exchange, thought.asked, model, self.asker, self.proceed)

    def _left_s(self, deadline: float) -> float | None:
        """Give how long a stream's client may still be held; others wait as long as it takes."""
        left_s = deadline - asyncio.get_running_loop().time()
        return max(0.0, left_s) if self.thought.asked.stream else None
