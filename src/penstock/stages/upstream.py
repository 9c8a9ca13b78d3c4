"""upstream: the last stage. It calls the provider and judges what comes back."""

import asyncio
import re
from collections.abc import Sequence
from typing import Final

import aiohttp
from multidict import CIMultiDict

from penstock.errors import StartError
from penstock.exchange import Call, Decision, Exchange, Sent
from penstock.openai import usage, wire_json
from penstock.openai.request import Endpoint, Request, keep_own
from penstock.openai.sse import Event
from penstock.openai.watch import HideUsage, Watch, choices_asked
from penstock.policy.base import PolicySet
from penstock.reply import Observer, Outcome, Reply, Stream
from penstock.stage import Proceed, Resources, Stage
from penstock.upstream import failures
from penstock.upstream.answer import Deadlines, EventAnswer, OpaqueAnswer, read_whole
from penstock.upstream.client import Client, Connection
from penstock.upstream.headers import to_client, to_upstream
from penstock.upstream.policy import Upstream as UpstreamPolicy
from penstock.upstream.policy import UpstreamsPolicy

# A path of the upstream's machine or a traceback in an error's text: nothing a client should see.
_SERVER_INSIDE: Final = re.compile(
    rb"Traceback \(most recent|File \\?\"/|[\s'\"(=](?:/[\w.+-]+){3,}|[A-Z]:\\\\\w"
)
_SHOWN_BYTES: Final = 1024 * 1024
_STREAMED: Final = (Endpoint.CHAT, Endpoint.COMPLETIONS)


class Upstream(Stage[UpstreamsPolicy]):
    """Calls the upstream that the model's name belongs to."""

    name = "upstream"
    policy = UpstreamsPolicy
    after = ("identify", "ephemeral", "cache")
    skippable = False

    async def start(self, resources: Resources) -> None:
        """Open the pool."""
        self._client = Client()
        self._connections: dict[str, Connection] = {}

    def accept(self, policies: PolicySet) -> None:
        """Read every secret and certificate. Raises StartError."""
        upstreams = policies[UpstreamsPolicy].upstreams
        self._connections = {name: Connection(upstream) for name, upstream in upstreams.items()}

    async def stop(self) -> None:
        """Close the pool."""
        await self._client.close()

    def plan(self, exchange: Exchange) -> Decision:
        """Name the upstream and the model's name there."""
        name, upstream = exchange.policies[UpstreamsPolicy].choose(exchange.request.model)
        model = exchange.request.model
        return Decision(self.name, "call", f"{name}, model {upstream.models.get(model or '', model or '-')}")

    async def answer(self, exchange: Exchange, proceed: Proceed) -> Reply:
        """Call the upstream once."""
        keep_own(exchange.request.path)
        name, upstream = exchange.policies[UpstreamsPolicy].choose(exchange.request.model, exchange.target)
        connection = self._connection(name, upstream)
        exchange.upstream, exchange.provider = name, upstream.provider
        call = Call(exchange.request.model or "")
        exchange.request, hide_usage = _on_the_wire(exchange.request, upstream)
        exchange.model = exchange.request.model
        exchange.attempts += 1
        exchange.answer_headers.update(_told(exchange))
        exchange.decide(self.name, "call", name)
        deadlines = Deadlines(upstream.timeouts, asyncio.get_running_loop().time())
        response = await self._call(exchange, connection, deadlines)
        try:
            if response.status == 200:
                exchange.calls.append(call)
            reply = await self._reply(exchange, call, upstream, response, deadlines)
        except BaseException:
            response.close()
            raise
        return reply.observed_by(_UsageHidden()) if hide_usage else reply

    async def _call(
        self, exchange: Exchange, connection: Connection, deadlines: Deadlines
    ) -> aiohttp.ClientResponse:
        request = exchange.request
        url = connection.url(request.path, request.query, request.model)
        body = request.upload or request.raw
        if exchange.shown:
            exchange.sent = Sent(request.method, str(url), request.raw)
        return await self._client.call(
            connection,
            request.method,
            url,
            to_upstream(exchange, connection.upstream.auth, connection.key, connection.headers),
            body,
            decompress=request.endpoint is not Endpoint.OTHER,
            deadline=deadlines.total,
        )

    async def _reply(
        self,
        exchange: Exchange,
        call: Call,
        upstream: UpstreamPolicy,
        response: aiohttp.ClientResponse,
        deadlines: Deadlines,
    ) -> Reply:
        endpoint = exchange.request.endpoint
        if endpoint is Endpoint.OTHER:
            headers = to_client(response.headers, decoded=False)
            if "content-length" in response.headers:
                headers["content-length"] = response.headers["content-length"]
            return Reply(response.status, headers, stream=Stream(OpaqueAnswer(response, deadlines)))
        headers = to_client(response.headers, decoded=True)
        if response.status == 200 and _is_event_stream(exchange.request, response.content_type):
            headers["content-type"] = "text/event-stream; charset=utf-8"
            watch = Watch(endpoint, choices_asked(endpoint, exchange.request.body or {}))
            source = EventAnswer(response, deadlines, watch, upstream.max_answer_bytes)
            return Reply(200, headers, stream=Stream(source)).observed_by(_Books(exchange, call, watch))
        body = await read_whole(response, deadlines, upstream.max_answer_bytes)
        return _plain(exchange, call, response.status, headers, body)

    def _connection(self, name: str, upstream: UpstreamPolicy) -> Connection:
        """Give an upstream's connection settings; an exchange may still have the set before this one."""
        kept = self._connections.get(name)
        if kept is not None and kept.upstream is upstream:
            return kept
        try:
            return Connection(upstream)
        except StartError:
            raise failures.misconfigured() from None


class _Books(Observer):
    """Notes on the exchange what a stream brought: the usage, and the bytes if somebody looks."""

    def __init__(self, exchange: Exchange, call: Call, watch: Watch) -> None:
        self._exchange = exchange
        self._call = call
        self._watch = watch

    def event(self, event: Event) -> Sequence[Event]:
        """Keep the first part of what a reviewer may see."""
        if self._exchange.shown and len(self._exchange.received) < _SHOWN_BYTES:
            self._exchange.received += event.raw
        return (event,)

    async def ended(self, outcome: Outcome) -> None:
        """Take what the watch has read by now."""
        self._exchange.usage = self._call.usage = self._watch.usage


class _UsageHidden(Observer):
    """Takes the usage that we asked for out of a stream whose client did not."""

    def __init__(self) -> None:
        self._hide = HideUsage()

    def event(self, event: Event) -> Sequence[Event]:
        """Give the event as the client would have got it."""
        return self._hide.event(event)


def _on_the_wire(request: Request, upstream: UpstreamPolicy) -> tuple[Request, bool]:
    """Give the request with the upstream's name for the model, and whether we asked for usage ourselves."""
    model = request.model
    if model is not None and (wire := upstream.models.get(model, model)) != model:
        request = request.with_fields(model=wire)
    options = request.body.get("stream_options") if request.body else None
    asks = upstream.stream_usage and request.stream and request.endpoint in _STREAMED
    if not asks or (options is not None and not isinstance(options, dict)):
        return request, False
    options = options or {}
    if options.get("include_usage") is True:
        return request, False
    return request.with_fields(stream_options={**options, "include_usage": True}), True


def _told(exchange: Exchange) -> dict[str, str]:
    told = {"x-dac-upstream": exchange.upstream or "", "x-dac-attempts": str(exchange.attempts)}
    model = exchange.model or ""
    return {**told, "x-dac-model": model} if model.isascii() and model.isprintable() and model else told


def _is_event_stream(request: Request, content_type: str) -> bool:
    if content_type == "text/event-stream":
        return True
    return request.stream and content_type not in ("application/json", "text/html")


def _plain(exchange: Exchange, call: Call, status: int, headers: CIMultiDict[str], body: bytes) -> Reply:
    """Judge a plain answer: JSON goes on as it came, everything else becomes an error of ours."""
    try:
        answer = wire_json.decode(body) if body else None
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or (status >= 400 and _SERVER_INSIDE.search(body)):
        refusal = failures.invalid(status)
        kept = {name: value for name, value in headers.items() if not name.lower().startswith("content-")}
        refusal.headers.update(kept)
        raise refusal
    exchange.usage = call.usage = usage.read(answer)
    if exchange.shown:
        exchange.received += body[:_SHOWN_BYTES]
    return Reply(status, headers, body)
