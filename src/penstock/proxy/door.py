"""The door: makes an exchange of a flow, and gives the chain's reply back to the client."""

import http as status_names
import logging
from collections.abc import Sequence
from contextlib import aclosing
from typing import Final
from weakref import WeakKeyDictionary

from mitmproxy import http

from penstock.errors import Refusal
from penstock.exchange import Exchange
from penstock.gateway import Gateway
from penstock.openai.request import Endpoint, Request, route
from penstock.openai.sse import Event
from penstock.proxy import viewer
from penstock.proxy.headers import decoded, encoded
from penstock.proxy.source import Pump, Upload
from penstock.reply import Reply
from penstock.upstream import failures

log = logging.getLogger("penstock.proxy")
_REASONS: Final = {status.value: status.phrase.encode() for status in status_names.HTTPStatus}
_BODILESS: Final = frozenset((204, 304))


class FlowConversation:
    """One request and its answer, from the client's first header to the last byte."""

    def __init__(self, gateway: Gateway, flow: http.HTTPFlow, *, inspected: bool) -> None:
        self._gateway = gateway
        self._refusal: Refusal | None = None
        self._http_version = flow.request.http_version
        self.too_large = False
        self.upload: Upload | None = None
        path, _, query = flow.request.path.partition("?")
        try:
            endpoint, path = route(flow.request.method, path)
        except Refusal as refusal:
            endpoint, self._refusal = Endpoint.OTHER, refusal
        request = Request(flow.request.method, path, query, decoded(flow.request), endpoint)
        self.exchange = Exchange(request, gateway.policies, inspected=inspected)

    @property
    def limit_bytes(self) -> int | None:
        """The largest body that is read; None for one that streams through."""
        return None if self.upload is not None else self._gateway.max_request_bytes

    def stream_body(self) -> None:
        """Pass the request's body on as it comes."""
        self.upload = self.exchange.request.upload = Upload()

    def take_body(self, flow: http.HTTPFlow) -> None:
        """Take the body off the flow, so that no viewer and no dump ever holds it."""
        raw = flow.request.raw_content or b""
        flow.request.data.content = b""
        if self.upload is not None:
            if raw:  # a body that was here whole before anyone could stream it
                self.upload.put(raw)
            self.upload.put(b"")
            return
        try:
            if self.too_large:
                raise Refusal(413, "request_too_large", f"The body is larger than {self.limit_bytes} bytes.")
            self.exchange.request.take(raw)
        except Refusal as refusal:
            self._refusal = self._refusal or refusal

    async def talk(self, pump: Pump) -> None:
        """Answer the client through the pump; whatever happens, the books are closed."""
        reply: Reply | None = None
        try:
            reply = await self._gateway.answer(self.exchange, self._refusal)
            await self._send(pump, reply)
        except Exception:
            log.exception("exchange %s: the answer could not be sent", self.exchange.id)
            await pump.crash()
        finally:
            if self.upload is not None:
                self.upload.discard()
            if reply is not None:
                await reply.aclose()
            self._gateway.close_books(self.exchange, reply)

    async def _send(self, pump: Pump, reply: Reply) -> None:
        has_body = self.exchange.request.method != "HEAD" and reply.status not in _BODILESS
        if has_body and reply.stream is None and reply.body:
            self.exchange.mark_first_byte()
            await pump.whole(self._response(reply, has_body=True), reply.body)
            return
        await pump.head(self._response(reply, has_body=has_body), body=has_body)
        if has_body and reply.stream is not None:
            async with aclosing(reply.stream.batches()) as batches:
                async for batch in batches:
                    self.exchange.mark_first_byte()
                    if data := _joined(batch):
                        await pump.data(data)
        await pump.end()

    def _response(self, reply: Reply, *, has_body: bool) -> http.Response:
        headers = reply.headers
        if reply.stream is None:
            headers["content-length"] = str(len(reply.body))
        elif has_body and "content-length" not in headers:
            if self._http_version == "HTTP/1.1":
                headers["transfer-encoding"] = "chunked"
            elif self._http_version == "HTTP/1.0":
                headers["connection"] = "close"
        reason = _REASONS.get(reply.status, b"")
        return http.Response(b"HTTP/1.1", reply.status, reason, encoded(headers), None, None, 0.0, None)


class FlowDoor:
    """Conversations by flow. `inspected` says that somebody looks at flows: mitmweb, a console, a dump."""

    def __init__(self, gateway: Gateway, *, inspected: bool) -> None:
        self.gateway = gateway
        self._open: WeakKeyDictionary[http.HTTPFlow, FlowConversation] = WeakKeyDictionary()
        self.quiet = not inspected

    def conversation(self, flow: http.HTTPFlow) -> FlowConversation | None:
        """Give the flow's conversation; None for a WebSocket."""
        return self._open.get(flow)

    def unreachable(self) -> http.Response:
        """Give the answer for a WebSocket whose upstream can't be reached."""
        refusal = failures.unreachable()
        headers = {"content-type": "application/json"}
        return http.Response.make(refusal.status, refusal.body(), headers)

    def begin(self, flow: http.HTTPFlow) -> None:
        """Begin a conversation and take the client's secrets off the flow."""
        conversation = FlowConversation(self.gateway, flow, inspected=not self.quiet)
        self._open[flow] = conversation
        request = conversation.exchange.request
        if request.endpoint is Endpoint.OTHER and _has_body(flow.request):
            flow.request.stream = True
            conversation.stream_body()
        viewer.hide_secrets(flow, forget=request.asks_to_forget)


def _has_body(request: http.Request) -> bool:
    headers = request.headers
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers or request.is_http2


def _joined(batch: Sequence[Event]) -> bytes:
    return batch[0].raw if len(batch) == 1 else b"".join(event.raw for event in batch)
