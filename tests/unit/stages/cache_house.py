"""What the cache's tests share: a cache over a store in memory, and the road behind it."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from penstock import testing
from penstock.exchange import Exchange
from penstock.policy.base import Policy
from penstock.reply import Reply
from penstock.stages.cache import Cache, CachePolicy
from penstock.stores.keyring import Keyring

CHAT: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
STREAM = {**CHAT, "stream": True}


class House:
    """A cache over a store in memory, and the road behind it."""

    def __init__(self, *answers: Callable[[], Reply] | Exception) -> None:
        self.clock = testing.FrozenClock()
        self.store = testing.MemoryStore(self.clock)
        self.upstream = testing.FakeUpstream(*(answers or (testing.chat("hi"),)))
        self.cache = Cache()

    async def open(self, keyring: Keyring | None = None) -> "House":
        resources = testing.resources(self.store, self.clock)
        if keyring is not None:
            resources = replace(resources, keyring=keyring)
        await self.cache.start(resources)
        return self

    async def ask(self, exchange: Exchange) -> bytes:
        answer = await testing.read(await testing.run_stage(self.cache, exchange, self.upstream))
        await settle()  # nobody asks again in the same turn of the loop
        return answer


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def house(*answers: Callable[[], Reply] | Exception) -> House:
    return await House(*answers).open()


def request(
    body: Mapping[str, Any] = CHAT,
    *given: Policy,
    path: str = "/v1/chat/completions",
    asked: str | None = None,
    **policy: Any,
) -> Exchange:
    headers = {} if asked is None else {"X-DAC-Cache": asked}
    return testing.exchange(path, body=body, headers=headers, given=[CachePolicy(**policy), *given])
