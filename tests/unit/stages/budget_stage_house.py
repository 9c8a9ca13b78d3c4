"""A budget stage on a ledger in memory, and upstreams that it proceeds to."""

import asyncio
from collections.abc import Callable
from typing import Any

from multidict import CIMultiDict

from penstock import testing
from penstock.budget.limits import Applied
from penstock.budget.policy import BudgetPolicy
from penstock.budget.window import Window, period
from penstock.exchange import Call, Exchange
from penstock.models.policy import Model, ModelsPolicy
from penstock.openai import sse, wire_json
from penstock.openai.request import request_of
from penstock.openai.usage import Usage
from penstock.reply import Observer, Outcome, Reply, Stream
from penstock.stages.budget import Budget
from penstock.stores.ledger import Standing
from penstock.stores.memory import MemoryLedger
from penstock.tenants.policy import Degrade, Limit, Tenant, TenantsPolicy

MODEL = Model(
    input_usd_per_million=1.0, output_usd_per_million=4.0, context_tokens=8_000, max_output_tokens=500
)
MODELS = ModelsPolicy(models={"m": MODEL, "small": MODEL})
CHAT = "/v1/chat/completions"


class Told(Observer):
    """Notes the usage of a call at the stream's end, as the upstream stage does."""

    def __init__(self, call: Call, usage: Usage | None) -> None:
        self._call = call
        self._usage = usage

    async def ended(self, outcome: Outcome) -> None:
        self._call.usage = self._usage


class Upstream:
    """The rest of the road: answers with as many words as it is let, and never more than the model can."""

    def __init__(self, words: int = 5, *, usage: bool = True, fails: Exception | None = None) -> None:
        self.words = words
        self.usage = usage
        self.fails = fails
        self.seen: list[Exchange] = []
        self.told: list[int] = []

    async def __call__(self, exchange: Exchange) -> Reply:
        self.seen.append(exchange)
        exchange.attempts += 1
        await asyncio.sleep(0)
        if self.fails is not None:
            raise self.fails
        body = exchange.request.body or {}
        limits = [body[name] for name in ("max_tokens", "max_completion_tokens") if name in body]
        said = min([self.words, MODEL.output_bound_tokens, *limits]) * (body.get("n") or 1)
        usage = Usage(3, said)
        self.told.append(3 + said)
        call = Call(exchange.request.model or "", usage if self.usage else None)
        exchange.calls.append(call)
        if not exchange.request.stream:
            return testing.chat("word " * said)()
        call.usage = None
        batches = [[testing.chunk({"content": "word "})] for _ in range(said)]
        batches += [[testing.chunk({}, "stop")], [sse.done()]]
        reply = Reply(200, CIMultiDict(), stream=Stream(testing.Events(batches)))
        return reply.observed_by(Told(call, usage if self.usage else None))


class House:
    """The stage, started, with one tenant `acme`."""

    def __init__(self, *limits: Limit, policy: BudgetPolicy | None = None, **tenant: Any) -> None:
        self.clock = testing.FrozenClock()
        self.resources = testing.resources(clock=self.clock)
        self.tenant = Tenant(limits=limits, **tenant)
        self.set = testing.policies(
            TenantsPolicy(tenants={"acme": self.tenant, "globex": Tenant()}), MODELS, policy or BudgetPolicy()
        )
        self.stage = Budget()

    @property
    def ledger(self) -> MemoryLedger:
        assert isinstance(self.resources.ledger, MemoryLedger)
        return self.resources.ledger

    async def open(self) -> "House":
        await self.stage.start(self.resources)
        self.stage.accept(self.set)
        return self

    def exchange(self, path: str = CHAT, method: str = "POST", **body: Any) -> Exchange:
        usual = {"model": "m", "messages": [{"role": "user", "content": "hello"}]} if path == CHAT else {}
        raw = wire_json.encode({**usual, **body})
        exchange = Exchange(request_of(method, path, CIMultiDict(), raw), self.set)
        exchange.tenant = "acme"
        return exchange

    async def ask(self, upstream: Callable[[Exchange], Any] | None = None, **body: Any) -> Exchange:
        """Ask once, read the answer to its end, and give the exchange."""
        exchange = self.exchange(**body)
        reply = await self.stage.answer(exchange, upstream or Upstream())
        await testing.read(reply)
        await self.rest()
        return exchange

    async def rest(self) -> None:
        """Let settlements happen."""
        for _ in range(6):
            await asyncio.sleep(0)

    async def standing(
        self, unit: str = "tokens", window: Window = Window.TOTAL, scope: str = "tenant", model: str = ""
    ) -> Standing:
        applied = Applied(scope, unit, window, 1, model)
        now = self.clock.now()
        account = applied.account(period(window, now, self.tenant.zone))
        (told,) = await self.ledger.read("acme", [account], now=now)
        return told


def tokens(limit: int, window: str = "total", **more: Any) -> Limit:
    return Limit(unit="tokens", window=window, limit=limit, **more)


def degrade(share: float) -> Degrade:
    return Degrade(from_share=share, model="small")
