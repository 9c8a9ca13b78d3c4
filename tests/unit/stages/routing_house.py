"""A routing stage in memory, and an upstream behind it that answers each model as it is told."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from multidict import CIMultiDict

from penstock import testing
from penstock.errors import Refusal
from penstock.exchange import Call, Exchange
from penstock.models.policy import Model, ModelsPolicy
from penstock.openai import sse, wire_json
from penstock.openai.request import request_of
from penstock.openai.sse import Event
from penstock.openai.usage import Usage
from penstock.policy.base import Policy, PolicySet
from penstock.reply import Observer, Outcome, Reply, Stream
from penstock.routing.cascade import Trust
from penstock.routing.policy import Alias, RoutingPolicy
from penstock.routing.versions import NO_TRUST
from penstock.stages.routing import Routing
from penstock.stores.memory import MemoryRecords
from penstock.tenants.policy import TenantsPolicy
from penstock.upstream.policy import Upstream as UpstreamPolicy
from penstock.upstream.policy import UpstreamsPolicy

CHAT = "/v1/chat/completions"
PRICED = {"input_usd_per_million": 1.0, "output_usd_per_million": 4.0}
MODELS = ModelsPolicy(
    models={
        "small": Model(**PRICED, context_tokens=8_000, max_output_tokens=500),
        "large": Model(
            input_usd_per_million=20.0,
            output_usd_per_million=80.0,
            context_tokens=64_000,
            max_output_tokens=500,
        ),
        "nano": Model(**PRICED, context_tokens=8_000, max_output_tokens=500),
    }
)
UPSTREAMS = UpstreamsPolicy(
    default="east",
    upstreams={name: UpstreamPolicy(url=f"http://{name}.invalid/v1") for name in ("east", "west")},
)
USAGES = {"small": Usage(10, 3), "large": Usage(11, 5), "nano": Usage(9, 2)}
Answer = Any
"""Text, batches of events, an exception, a status, a refusing reply, or what gives one for an exchange."""


def of[P: Policy](kind: type[P], **fields: Any) -> P:
    """Make a policy as a file would, with lists for tuples."""
    plain = msgspec.json.encode(fields, enc_hook=lambda policy: policy.model_dump(exclude_unset=True))
    return kind.model_validate_json(plain)


def alias(*models: str, **fields: Any) -> Alias:
    """Give an alias with these candidates, small and large if none are named; every request is small."""
    given = [{"model": model} for model in models or ("small", "large")]
    return of(Alias, **{"candidates": given, "decide": "small", **fields})


def cascade(**fields: Any) -> Alias:
    """Give an alias that judges the small model's answers."""
    return alias(cascade={"streams": "hold", **fields})


class Books(Observer):
    """Tells a stream's usage at its end, as the upstream stage does."""

    def __init__(self, exchange: Exchange, call: Call) -> None:
        self._exchange = exchange
        self._call = call

    async def ended(self, outcome: Outcome) -> None:
        self._exchange.usage = self._call.usage = USAGES.get(self._call.model)


class Upstream:
    """The rest of the road. Every answer waits for `gates` of its model, if there is one."""

    def __init__(self, **answers: Answer) -> None:
        self.answers: dict[str, Answer] = {"small": "fine", "large": "better", "nano": "cheap", **answers}
        self.gates: dict[str, asyncio.Event] = {}
        self.asked: list[str] = []
        self.seen: list[Exchange] = []
        self.sources: list[testing.Events] = []
        self.cancelled: list[str] = []

    async def __call__(self, exchange: Exchange) -> Reply:
        model = exchange.request.model or ""
        self.asked.append(model)
        self.seen.append(exchange)
        exchange.attempts += 1
        exchange.upstream = exchange.target or "east"
        exchange.model = f"{model}-on-the-wire"
        exchange.request = exchange.request.with_fields(model=exchange.model)
        exchange.answer_headers.update({"x-dac-model": exchange.model, "x-dac-upstream": exchange.upstream})
        try:
            await asyncio.sleep(0)
            if model in self.gates:
                await self.gates[model].wait()
        except asyncio.CancelledError:
            self.cancelled.append(model)
            raise
        answer = self.answers[model]
        if callable(answer):
            answer = answer(exchange)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, int):
            return testing.chat("no", status=answer)()
        if isinstance(answer, Reply):
            return answer
        exchange.calls.append(call := Call(model))
        if exchange.request.stream:
            batches = stream_of(answer) if isinstance(answer, str) else answer
            source = testing.Events(batches) if isinstance(batches, list) else batches
            self.sources.append(source)
            headers = CIMultiDict({"content-type": "text/event-stream"})
            return Reply(200, headers, stream=Stream(source)).observed_by(Books(exchange, call))
        exchange.usage = call.usage = USAGES.get(model)
        reply = answer() if callable(answer) else testing.chat(answer)()
        if exchange.shown:
            exchange.received += reply.body
        return reply


def stream_of(text: str) -> list[Sequence[Event] | Exception]:
    """Give a whole stream, one batch for each word."""
    words = [testing.chunk({"content": word}) for word in re.findall(r"\S+\s*", text)]
    return [*([word] for word in words), [testing.chunk({}, "stop")], [sse.done()]]


def raw(batches: Sequence[Sequence[Event] | Exception]) -> bytes:
    """Give the bytes of batches."""
    return b"".join(event.raw for batch in batches if not isinstance(batch, Exception) for event in batch)


class Paced:
    """A source whose batches come when they are let; `None` in the list waits for `go`."""

    def __init__(self, batches: Sequence[Any]) -> None:
        self._batches = iter(batches)
        self.go = asyncio.Event()
        self.given = 0
        self.closed = False

    def __aiter__(self):
        return self

    async def __anext__(self):
        batch = next(self._batches, StopAsyncIteration())
        if batch is None:
            await self.go.wait()
            return await self.__anext__()
        if isinstance(batch, Exception):
            raise batch
        self.given += 1
        return batch

    async def aclose(self):
        self.closed = True


class House:
    """The stage, started on these policies; `other` shares stores and clock with it."""

    def __init__(
        self,
        its: Alias | None = None,
        *given: Policy,
        other: "House | None" = None,
        **routing: Any,
    ) -> None:
        self.clock = other.clock if other else testing.FrozenClock()
        self.resources = other.resources if other else testing.resources(clock=self.clock)
        aliases = {"auto": its or alias()}
        self.policy = of(RoutingPolicy, **{"aliases": aliases, **routing})
        kinds = {type(policy) for policy in given}
        defaults = [policy for policy in (MODELS, UPSTREAMS, TenantsPolicy()) if type(policy) not in kinds]
        self.set: PolicySet = testing.policies(*defaults, self.policy, *given)
        self.stage = Routing()
        self.upstream = Upstream()

    async def open(self) -> "House":
        await self.stage.start(self.resources)
        if self.policy.intents:  # at once, not beside the road
            self.stage._thinker.intents.learn(self.policy.intents)
        self.stage.accept(self.set)
        return self

    def trust(self, trust: Trust) -> None:
        """Let this be what is known of the small model's answers."""
        known = {("acme", "auto"): trust}  # the store, which is looked at again and again, knows nothing
        self.stage._versions.trust = lambda *place: known.get(place, NO_TRUST)

    @property
    def records(self) -> MemoryRecords:
        assert isinstance(self.resources.records, MemoryRecords)
        return self.resources.records

    def exchange(
        self,
        text: str = "hello",
        path: str = CHAT,
        headers: Mapping[str, str] | None = None,
        tenant: str = "acme",
        **body: Any,
    ) -> Exchange:
        said = {"model": "auto", **body}
        if path == CHAT:
            said.setdefault("messages", [{"role": "user", "content": text}])
        request = request_of("POST", path, CIMultiDict(headers or {}), wire_json.encode(said))
        exchange = Exchange(request, self.set)
        exchange.tenant = tenant
        return exchange

    async def answer(self, exchange: Exchange) -> Reply:
        return await self.stage.answer(exchange, self.upstream)

    async def ask(self, text: str = "hello", **asked: Any) -> Exchange:
        """Ask once, read the answer to its end, and give the exchange."""
        exchange = self.exchange(text, **asked)
        self.told = await testing.read(await self.answer(exchange))
        return exchange

    async def close(self) -> None:
        await self.stage.stop()


def actions(exchange: Exchange) -> list[str]:
    """Give what routing decided, in short."""
    return [decision.action for decision in exchange.decisions if decision.stage == "routing"]


def why(exchange: Exchange) -> str:
    """Give the last reason."""
    return exchange.decisions[-1].reason


def tasks() -> set["asyncio.Task[Any]"]:
    """Give the other tasks that run, without those that the stage starts for its life."""
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


async def settle(rounds: int = 30) -> None:
    """Let what was begun go on."""
    for _ in range(rounds):
        await asyncio.sleep(0)


def refuse(code: str = "upstream_failed", status: int = 502) -> Refusal:
    return Refusal(status, code, "no")


Build = Callable[..., Any]
