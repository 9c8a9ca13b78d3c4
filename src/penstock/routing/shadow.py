"""Shadow traffic: a few requests are asked of both models, beside the road, and compared."""

import asyncio
from asyncio import Task
from dataclasses import replace
from random import Random

from penstock.errors import Refusal, StoreUnavailable
from penstock.exchange import Exchange
from penstock.openai import wire_json
from penstock.openai.request import Json
from penstock.reply import Reply
from penstock.routing.answered import whole
from penstock.routing.ask import Proceed
from penstock.routing.compare import Collected, compared
from penstock.routing.outcomes import Outcome, Outcomes
from penstock.routing.think import Thought


class Shadow:
    """Asks the model that did not answer, once the answer is whole. The call is paid by the tenant."""

    def __init__(self, outcomes: Outcomes, rng: Random) -> None:
        self._outcomes = outcomes
        self._rng = rng
        self._asking: set[Task[None]] = set()

    async def stop(self) -> None:
        """Ask no more."""
        for task in self._asking:
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)

    def follow(self, exchange: Exchange, thought: Thought, reply: Reply, proceed: Proceed) -> Reply:
        """Let chance decide whether this answer is compared, and give it as it is."""
        alias = thought.alias
        pair = alias.candidates[0].model, alias.candidates[-1].model
        asked = [call.model for call in exchange.calls if call.model in pair]  # no second opinion
        served = asked[-1] if asked else ""
        if pair[0] == pair[1] or served not in pair or reply.status != 200 or exchange.ephemeral:
            return reply
        if self._rng.random() >= alias.shadow:
            return reply

        def compare(answer: Json) -> None:
            asking = self._compare(exchange, thought, pair, served, answer, proceed)
            task = asyncio.get_running_loop().create_task(asking)
            self._asking.add(task)
            task.add_done_callback(self._asking.discard)

        if reply.stream is not None:
            return reply.observed_by(Collected(thought.asked.endpoint, compare))
        compare(wire_json.decode(reply.body))
        return reply

    async def _compare(
        self,
        exchange: Exchange,
        thought: Thought,
        pair: tuple[str, str],
        served: str,
        answer: Json,
        proceed: Proceed,
    ) -> None:
        """Ask the other model, and note how the two compare."""
        small_served = served == pair[0]
        other = await self._ask(exchange, thought, pair[1] if small_served else pair[0], proceed)
        if other is None:
            return
        small, large = (answer, other) if small_served else (other, answer)
        found = compared(thought.asked, thought.prompt, thought.features, small, large)
        if found is not None:
            self._outcomes.put(
                Outcome(
                    exchange.tenant,
                    thought.name,
                    exchange.learned,
                    found.small,
                    found.large,
                    found.answer_features,
                    found.small > 0,
                )
            )

    async def _ask(self, exchange: Exchange, thought: Thought, model: str, proceed: Proceed) -> Json | None:
        body = {**(thought.asked.body or {}), "model": model, "stream": False}
        body.pop("stream_options", None)
        copy = replace(
            exchange,
            request=thought.asked.with_body(body),
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
            paid = exchange.purse.beside(copy, proceed) if exchange.purse else proceed(copy)
            reply = await paid
        except (Refusal, StoreUnavailable):
            return None
        return await whole(reply, thought.asked.endpoint) if reply else None
