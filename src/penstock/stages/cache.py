"""cache: an answer that was given before, given again at once, to its own tenant only."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Final, Literal, Self

from multidict import CIMultiDict
from pydantic import Field

from penstock.domain.cache_entry import CacheKey, Kept, address
from penstock.errors import Refusal, StoreUnavailable
from penstock.exchange import Decision, Exchange
from penstock.flight import Flight
from penstock.openai.canonical import sampling, stateful
from penstock.openai.request import Endpoint
from penstock.openai.sse import Event
from penstock.policy.base import Policy, StagePolicy
from penstock.reply import Observer, Outcome, Reply, Stream
from penstock.stage import Proceed, Resources, Stage
from penstock.stores.keyring import SealBroken
from penstock.stores.protocol import Entry
from penstock.upstream.policy import UpstreamsPolicy

HEADER: Final = "x-dac-cache"
_ASKED: Final = ("no-store", "refresh", "bypass")
_CACHED: Final = (Endpoint.CHAT, Endpoint.RESPONSES, Endpoint.COMPLETIONS, Endpoint.EMBEDDINGS)
Seconds = Annotated[float, Field(gt=0, le=90 * 86_400)]
Bytes = Annotated[int, Field(gt=0)]


class Replay(Policy):
    """How a stored stream reaches a client that asked for a stream."""

    pace: Literal["at_once", "paced"] = Field(
        default="at_once", description="`at_once` sends all events together; `paced` one after the other."
    )
    events_per_s: Annotated[float, Field(gt=0, le=10_000)] = Field(
        default=50.0, description="The pace of `paced`."
    )


class CachePolicy(StagePolicy):
    """Which answers are kept, for how long, and how they are given again."""

    file = "cache"

    on_failure: Literal["reject", "skip"] = Field(
        default="skip", description="`skip` asks the upstream when the store is gone; `reject` answers 503."
    )
    ttl_s: Seconds = Field(default=3600.0, description="How long an answer may be given again, in seconds.")
    ttl_by_endpoint: dict[Literal["chat.completions", "responses", "completions", "embeddings"], Seconds] = (
        Field(default={"embeddings": 86_400.0}, description="Endpoints that keep theirs for another time.")
    )
    max_temperature: Annotated[float, Field(ge=0)] = Field(
        default=1.0,
        description="Requests with a higher temperature are not cached. One without a temperature has 1.0, "
        "the API's own default.",
    )
    several_choices: bool = Field(default=False, description="Whether answers with n > 1 are cached.")
    tool_calls: bool = Field(default=False, description="Whether answers that call tools are cached.")
    max_entry_bytes: Bytes = Field(default=1024 * 1024, description="The largest answer that is kept.")
    limit_bytes: Bytes = Field(
        default=256 * 1024 * 1024,
        description="What one tenant's answers may take in the store; the oldest make room.",
    )
    single_flight: bool = Field(
        default=True, description="Whether requests that ask the same at the same time share one call."
    )
    replay: Replay = Field(default=Replay(), description="How stored answers are streamed.")


class Cache(Stage[CachePolicy]):
    """Looks the request up, shares a call that is under way, or keeps what the rest of the road answers."""

    name = "cache"
    policy = CachePolicy
    after = ("identify", "ephemeral", "redaction", "experiment")

    async def start(self, resources: Resources) -> None:
        """Take the store and the keyring."""
        self._store = resources.store
        self._keyring = resources.keyring
        self._clock = resources.clock
        self._flights: dict[tuple[CacheKey, bool, bool], tuple[Flight, Exchange]] = {}

    def plan(self, exchange: Exchange) -> Decision:
        """Say whether the answer may come from the cache. Raises Refusal (400) for an unknown X-DAC-Cache."""
        asked = exchange.request.headers.get(HEADER, "").strip().lower()
        if asked and asked not in _ASKED:
            raise Refusal(
                400, "invalid_cache", f"X-DAC-Cache must be one of {', '.join(_ASKED)}.", param=HEADER
            )
        if exchange.request.endpoint not in _CACHED:
            return Decision(self.name, "pass", "no endpoint of the cache")
        if why := self._not_for_the_cache(exchange, asked):
            return Decision(self.name, "bypass", why)
        if asked == "refresh":
            return Decision(self.name, "refresh", "asked for by the client")
        return Decision(self.name, "lookup", "not kept, as asked" if asked == "no-store" else "")

    def _not_for_the_cache(self, exchange: Exchange, asked: str) -> str | None:
        policy = exchange.policies[CachePolicy]
        body = exchange.request.body or {}
        if exchange.ephemeral:
            return "ephemeral"
        if asked == "bypass":
            return "asked for by the client"
        freedom = sampling(body)
        if freedom.temperature > policy.max_temperature:
            return f"temperature {freedom.temperature:g} is above {policy.max_temperature:g}"
        if freedom.n > 1 and not policy.several_choices:
            return f"{freedom.n} choices"
        return stateful(exchange.request.endpoint, body)

    async def answer(self, exchange: Exchange, proceed: Proceed) -> Reply:
        """Answer from the store, from a call under way, or from the rest of the road."""
        plan = self.plan(exchange)
        if plan.action in ("pass", "bypass"):
            exchange.decisions.append(plan)
            if plan.action == "bypass":
                exchange.answer_headers[HEADER] = "bypass"
            return await proceed(exchange)
        key = self._key(exchange)
        if plan.action == "lookup" and (kept := await self._look(key)) is not None:
            return self._again(exchange, kept)
        keeps = exchange.request.headers.get(HEADER, "").strip().lower() != "no-store"
        if plan.action == "refresh" or not keeps or not exchange.policies[CachePolicy].single_flight:
            self._told(exchange, "miss", plan.reason)
            return await self._ask(exchange, proceed, key, keeps=keeps)
        return await self._fly(exchange, proceed, key)

    def _key(self, exchange: Exchange) -> CacheKey:
        """Name what is asked. The client's own key counts where it decides what the upstream answers."""
        request = exchange.request
        name, upstream = exchange.policies[UpstreamsPolicy].choose(request.model)
        whose = self._keyring.mac("credential", (exchange.client_key or "").encode())
        arms = ",".join(f"{experiment}={arm}" for experiment, arm in sorted(exchange.arms.items()))
        route = (name, upstream.url, upstream.models.get(request.model or "", ""), request.query, arms)
        beta = ",".join(request.headers.getall("openai-beta", []))
        return address(
            exchange.tenant, request.endpoint, request.body or {}, (*route, beta), whose, self._keyring.mac
        )

    async def _look(self, key: CacheKey) -> Kept | None:
        entry = await self._store.get(key.space, key.name)
        if entry is None:
            return None
        try:
            return Kept.decode(self._keyring.open(key.space, entry.value, key.binding))
        except (SealBroken, ValueError):
            return None  # a collision, a moved entry or a foreign one: nobody's answer

    def _again(self, exchange: Exchange, kept: Kept) -> Reply:
        """Give a stored answer in the form this client asked for."""
        policy = exchange.policies[CachePolicy]
        request = exchange.request
        age = max(0, int(self._clock.now() - kept.stored_at))
        self._told(exchange, "hit", f"{age} s old")
        exchange.answer_headers["age"] = str(age)
        exchange.model, exchange.provider = kept.model, kept.provider
        headers = CIMultiDict({"content-type": "application/json"})
        if not request.stream:
            return Reply(200, headers, kept.body(request.endpoint))
        headers["content-type"] = "text/event-stream; charset=utf-8"
        options = (request.body or {}).get("stream_options")
        include_usage = isinstance(options, dict) and options.get("include_usage") is True
        events = kept.events(request.endpoint, include_usage=include_usage)
        every_s = 1 / policy.replay.events_per_s if policy.replay.pace == "paced" else 0.0
        return Reply(200, headers, stream=Stream(_Replayed(events, every_s)))

    async def _fly(self, exchange: Exchange, proceed: Proceed, key: CacheKey) -> Reply:
        """Join a call under way, or begin one that others may join."""
        request = exchange.request
        options = (request.body or {}).get("stream_options")
        usage = isinstance(options, dict) and options.get("include_usage") is True
        name = (key, request.stream, usage)  # the binding too: a crafted collision shares nothing
        under_way = self._flights.get(name)
        if under_way is not None and under_way[0].open:
            shared, leader = under_way
            leader.sharers.append(exchange)
            self._told(exchange, "coalesced")
            return await shared.join()
        self._told(exchange, "miss")
        policy = exchange.policies[CachePolicy]

        def landed() -> None:
            if self._flights.get(name) == (flight, exchange):
                del self._flights[name]

        flight = Flight(lambda: self._ask(exchange, proceed, key, keeps=True), policy.max_entry_bytes, landed)
        self._flights[name] = flight, exchange
        return await flight.join()

    async def _ask(self, exchange: Exchange, proceed: Proceed, key: CacheKey, *, keeps: bool) -> Reply:
        """Ask the rest of the road, and keep its answer if it is whole."""
        endpoint, policy = exchange.request.endpoint, exchange.policies[CachePolicy]
        reply = await proceed(exchange)
        if not keeps or reply.status != 200:
            return reply
        keeper = _Keeper(self, exchange, key, endpoint, policy)
        if reply.stream is not None:
            return reply.observed_by(keeper)
        if len(reply.body) <= policy.max_entry_bytes:
            await keeper.keep(Kept.of_body(reply.body))
        return reply

    async def store(self, key: CacheKey, kept: Kept, ttl_s: float, limit_bytes: int) -> None:
        """Seal an answer and put it into the store."""
        sealed = self._keyring.seal(key.space, kept.encode(), key.binding)
        entry = Entry(key.space, key.name, sealed, self._clock.now() + ttl_s)
        await self._store.put([entry], limit_bytes=limit_bytes)

    def now(self) -> float:
        """Give the wall clock."""
        return self._clock.now()

    def _told(self, exchange: Exchange, action: str, reason: str = "") -> None:
        exchange.decide(self.name, action, reason)
        exchange.answer_headers[HEADER] = action


class _Keeper(Observer):
    """Keeps an answer if it is whole and small enough; a stream's events are collected as they pass."""

    def __init__(
        self, cache: Cache, exchange: Exchange, key: CacheKey, endpoint: Endpoint, policy: CachePolicy
    ) -> None:
        self._cache = cache
        self._exchange = exchange
        self._key = key
        self._endpoint = endpoint
        self._policy = policy
        self._events: list[Event] | None = []
        self._bytes = 0

    def event(self, event: Event) -> Sequence[Event]:
        """Collect, until it is too much."""
        if self._events is not None:
            self._bytes += len(event.raw)
            if self._bytes > self._policy.max_entry_bytes:
                self._events = None
            else:
                self._events.append(event)
        return (event,)

    async def ended(self, outcome: Outcome) -> None:
        """Keep a whole stream."""
        if outcome is Outcome.COMPLETE and self._events:
            usage = self._exchange.usage
            await self.keep(Kept.of_events(self._events, usage.told if usage else None))

    async def keep(self, kept: Kept) -> None:
        """Put it into the store, unless the policy or the way it ended says no."""
        ending = kept.ending(self._endpoint)
        whole = ending.complete and not ending.truncated and not ending.empty
        if not whole or (ending.tool_calls and not self._policy.tool_calls):
            return
        if self._exchange.substituted:  # the key names the model that was asked for
            return
        kept.stored_at = self._cache.now()
        kept.model, kept.provider = self._exchange.model, self._exchange.provider
        ttl_s = self._policy.ttl_by_endpoint.get(self._endpoint.value, self._policy.ttl_s)  # type: ignore[call-overload]
        try:
            await self._cache.store(self._key, kept, ttl_s, self._policy.limit_bytes)
        except StoreUnavailable:  # the answer is the client's all the same
            self._exchange.decide(self._cache.name, "not_kept", "the store is gone")
        except ValueError:
            self._exchange.decide(self._cache.name, "not_kept", "no entry can hold it")


class _Replayed:
    """A stored stream as a source."""

    def __init__(self, events: Sequence[Event], every_s: float) -> None:
        self._batches = iter([[event] for event in events] if every_s else [events])
        self._every_s = every_s

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Event]:
        batch = next(self._batches, None)
        if batch is None:
            raise StopAsyncIteration
        if self._every_s:
            await asyncio.sleep(self._every_s)
        return batch

    async def aclose(self) -> None:
        """Hold nothing."""
