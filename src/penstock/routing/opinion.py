"""A second opinion: a cheap model answers the same question, at the same time as the small one."""

import asyncio
from asyncio import Task
from dataclasses import dataclass, replace
from typing import Self

from penstock.errors import Refusal
from penstock.exchange import Exchange
from penstock.openai.request import Json, Request
from penstock.routing.answered import whole
from penstock.routing.ask import Asker, Proceed


@dataclass(frozen=True, slots=True)
class Opinion:
    """An opinion that was asked for. `close` ends it whether it has come or not."""

    _task: Task[Json | None]

    @classmethod
    def begun(cls, exchange: Exchange, asked: Request, model: str, asker: Asker, proceed: Proceed) -> Self:
        """Ask for it, for the exchange's own money."""
        asking = _answer(exchange, asked, model, asker, proceed)
        return cls(asyncio.get_running_loop().create_task(asking))

    async def told(self, longest_s: float | None) -> Json | None:
        """Wait for it, not longer than this if that is given; None where it did not come."""
        await asyncio.wait([self._task], timeout=longest_s)
        return self._task.result() if self._task.done() else None

    async def close(self) -> None:
        """Ask no longer."""
        if not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])


async def _answer(
    exchange: Exchange, asked: Request, model: str, asker: Asker, proceed: Proceed
) -> Json | None:
    if not await asker.affords_more(exchange, model):
        return None
    body = {**(asked.body or {}), "model": model, "stream": False}
    body.pop("stream_options", None)
    other = replace(
        exchange,
        request=asked.with_body(body),
        target=None,
        answer_headers={},
        sharers=[],
        received=bytearray(),
    )
    try:
        return await whole(await proceed(other), asked.endpoint)
    except Refusal:
        return None
