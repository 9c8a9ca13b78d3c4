"""The test kit for stages, ours and third parties': no sockets, no sleeping, no files.

exchange = testing.exchange(body={"model": "m", "messages": []})
upstream = testing.FakeUpstream(testing.chat("hello"))
reply = await testing.run_stage(MyStage(), exchange, upstream)
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Self

from multidict import CIMultiDict

from penstock.chain import Chain, ChainPolicy
from penstock.errors import StoreUnavailable
from penstock.exchange import Exchange
from penstock.openai import sse, wire_json
from penstock.openai.request import request_of
from penstock.openai.sse import Event
from penstock.policy.base import Policy, PolicySet, StagePolicy
from penstock.reply import Reply, Stream
from penstock.routing.policy import RoutingPolicy
from penstock.stage import Proceed, Resources, Stage
from penstock.stores.keyring import Keyring
from penstock.stores.memory import MemoryLedger, MemoryRecords
from penstock.stores.protocol import Entry
from penstock.upstream.policy import Upstream, UpstreamsPolicy


class FrozenClock:
    """A clock that moves only when told to."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self._now = now

    def now(self) -> float:
        """Give the wall clock."""
        return self._now

    def monotonic(self) -> float:
        """Give the same moment."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds


class MemoryStore:
    """A store in a dict. `gone` makes it as if it could not be reached."""

    def __init__(self, clock: FrozenClock | None = None) -> None:
        self._clock = clock or FrozenClock()
        self.entries: dict[tuple[str, str], Entry] = {}
        self.gone = False

    async def get(self, space: str, key: str) -> Entry | None:
        """Give the live entry."""
        await self.ping()
        entry = self.entries.get((space, key))
        return entry if entry is not None and entry.expires_at > self._clock.now() else None

    async def put(self, entries: Sequence[Entry], *, limit_bytes: int) -> None:
        """Keep the entries; the limit is not."""
        await self.ping()
        self.entries.update({(entry.space, entry.key): entry for entry in entries})

    async def delete(self, space: str, keys: Sequence[str] | None = None) -> int:
        """Forget entries."""
        await self.ping()
        doomed = [at for at in self.entries if at[0] == space and (keys is None or at[1] in keys)]
        for at in doomed:
            del self.entries[at]
        return len(doomed)

    async def size_bytes(self, space: str) -> int:
        """Add up a space."""
        await self.ping()
        return sum(len(entry.value) for at, entry in self.entries.items() if at[0] == space)

    async def ping(self) -> None:
        """Raise StoreUnavailable when gone."""
        if self.gone:
            raise StoreUnavailable("gone")

    async def close(self) -> None:
        """Do nothing."""


class Events:
    """A list of batches as a source; an exception in the list is raised in its turn."""

    def __init__(self, batches: Sequence[Sequence[Event] | Exception]) -> None:
        self._batches = iter(batches)
        self.closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Event]:
        """Give the next batch."""
        batch = next(self._batches, None)
        if batch is None:
            raise StopAsyncIteration
        if isinstance(batch, Exception):
            raise batch
        return batch

    async def aclose(self) -> None:
        """Note that the source was let go."""
        self.closed = True


class FakeUpstream:
    """The rest of the road: gives the answers in turn, the last one again and again, and counts calls."""

    def __init__(self, *answers: Callable[[], Reply] | Exception) -> None:
        self._answers = answers
        self.seen: list[Exchange] = []

    @property
    def calls(self) -> int:
        """How often it was asked."""
        return len(self.seen)

    async def __call__(self, exchange: Exchange) -> Reply:
        """Answer."""
        answer = self._answers[min(self.calls, len(self._answers) - 1)]
        self.seen.append(exchange)
        if isinstance(answer, Exception):
            raise answer
        return answer()


def chat(text: str, *, finish_reason: str = "stop", status: int = 200, **fields: Any) -> Callable[[], Reply]:  # noqa: ANN401
    """Give plain chat answers with this text."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": finish_reason,
    }
    answer = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_800_000_000,
        "model": "m",
        "choices": [choice],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        **fields,
    }
    return lambda: Reply(status, CIMultiDict({"content-type": "application/json"}), wire_json.encode(answer))


def chat_stream(*texts: str, ending: Exception | None = None) -> Callable[[], Reply]:
    """Give streamed chat answers, one batch for each text; `ending` breaks the stream off."""

    def reply() -> Reply:
        batches: list[Sequence[Event] | Exception] = [[chunk({"content": text})] for text in texts]
        batches += [ending] if ending else [[chunk({}, "stop")], [sse.done()]]
        return Reply(200, CIMultiDict({"content-type": "text/event-stream"}), stream=Stream(Events(batches)))

    return reply


def chunk(delta: Mapping[str, Any], finish_reason: str | None = None) -> Event:
    """Make one chunk of a chat stream."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return sse.encode(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1_800_000_000,
            "model": "m",
            "choices": [choice],
        }
    )


def policies(*given: Policy) -> PolicySet:
    """Give a policy set with these, and an upstream, no aliases and a chain where none is among them."""
    defaults: tuple[Policy, ...] = (
        ChainPolicy(order=()),
        RoutingPolicy(),
        UpstreamsPolicy(default="fake", upstreams={"fake": Upstream(url="http://fake.invalid/v1")}),
    )
    return PolicySet({type(policy): policy for policy in (*defaults, *given)}, "test")


def exchange(
    path: str = "/v1/chat/completions",
    *,
    body: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    given: Sequence[Policy] = (),
) -> Exchange:
    """Make an exchange as the door would; without a body, a short chat."""
    if body is None:
        body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
    request = request_of("POST", path, CIMultiDict(headers or {}), wire_json.encode(body))
    return Exchange(request, policies(*given))


def resources(store: MemoryStore | None = None, clock: FrozenClock | None = None) -> Resources:
    """Give a stage what it may use, all of it in memory."""
    clock = clock or FrozenClock()
    return Resources(
        store or MemoryStore(clock),
        MemoryLedger(),
        MemoryRecords(),
        Keyring(bytes(32)),
        Path("/nonexistent"),
        clock,
    )


class _Rest(Stage[StagePolicy]):
    """The end of a road: answers with what the test gave."""

    name = "rest"
    policy = StagePolicy

    def __init__(self, answer: Callable[[Exchange], Awaitable[Reply]]) -> None:
        self._answer = answer

    async def answer(self, exchange: Exchange, proceed: Proceed) -> Reply:
        return await self._answer(exchange)


async def run_stage[P: StagePolicy](
    stage: Stage[P], exchange: Exchange, rest: Callable[[Exchange], Awaitable[Reply]]
) -> Reply:
    """Let one started stage answer, guarded as in the chain; `rest` is what it proceeds to.

    A stage whose policies were not given gets them with their defaults.
    """
    live = exchange.policies.replacing(ChainPolicy(order=(stage.name, "rest")))
    live = live.replacing(StagePolicy())
    kinds: tuple[type[Policy], ...] = (stage.policy, *stage.nouns)
    for kind in kinds:
        try:
            live[kind]
        except KeyError:
            live = live.replacing(kind())
    exchange.policies = live
    return await Chain({stage.name: stage, "rest": _Rest(rest)}).answer(exchange)  # type: ignore[dict-item]


async def read(reply: Reply) -> bytes:
    """Read a reply to its end, as the client would get it."""
    if reply.stream is None:
        return reply.body
    async with aclosing(reply.stream.batches()) as batches:
        return b"".join([event.raw async for batch in batches for event in batch])
