"""The source stream: mitmproxy's upstream half, replaced by an answer of ours.

mitmproxy reads the request as always. Where it would open a connection upstream, a task (the pump)
asks the door for the answer and feeds its pieces into mitmproxy as if a server had sent them. So
listeners, TLS, HTTP/1 and HTTP/2 towards the client stay mitmproxy's, and the rest is asyncio code.

A flow without a source (a WebSocket) goes upstream mitmproxy's own way.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from mitmproxy import ctx, flow, http
from mitmproxy.proxy import commands, events, layer
from mitmproxy.proxy.layers.http import DropStream, HttpLayer, HttpStream, SendHttp
from mitmproxy.proxy.layers.http._events import (
    ErrorCode,
    HttpEvent,
    RequestData,
    RequestEndOfMessage,
    RequestProtocolError,
    ResponseData,
    ResponseEndOfMessage,
    ResponseHeaders,
    ResponseProtocolError,
)
from mitmproxy.proxy.layers.http._hooks import HttpErrorHook, HttpRequestHeadersHook, HttpRequestHook
from mitmproxy.proxy.server import ConnectionHandler

_PAUSED_S = 0.002  # how often the pump looks whether a hook of this flow has ended
_UPLOAD_PIECES = 16  # pieces of an upload that wait for the upstream before the client is held back


class Conversation(Protocol):
    """One flow's source: what it takes in and what it answers."""

    too_large: bool
    upload: "Upload | None"

    @property
    def limit_bytes(self) -> int | None:
        """The largest body that is read."""

    async def talk(self, pump: "Pump") -> None:
        """Answer through the pump. It must not raise anything but CancelledError."""


class Door(Protocol):
    """Who answers flows."""

    def conversation(self, flow: http.HTTPFlow) -> "Conversation | None":
        """Give the flow's source; None for a flow that goes upstream mitmproxy's own way."""

    def unreachable(self) -> http.Response:
        """Give the answer for an upstream that mitmproxy's own way could not reach."""


class Hooks(Protocol):
    """Who takes a flow's request in."""

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Take the head."""

    def request(self, flow: http.HTTPFlow) -> None:
        """Take the body."""


@dataclass
class FromChain(events.Event):
    """Pieces of an answer, addressed to the stream they belong to."""

    layer: "SourceLayer"
    pieces: Sequence[HttpEvent]


class Upload:
    """A request body on its way through, piece by piece; it holds the client back when we can't keep up."""

    def __init__(self) -> None:
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self._transport: asyncio.Transport | None = None
        self._wanted = True

    def attach(self, handler: ConnectionHandler) -> None:
        """Learn whose reading is to be paused."""
        writer = handler.transports[handler.client].writer
        if isinstance(writer, asyncio.StreamWriter):
            self._transport = writer.transport  # type: ignore[assignment]

    def discard(self) -> None:
        """Drop what is there and what still comes: nobody reads it any more, and the client must not hang."""
        self._wanted = False
        self._pieces = asyncio.Queue()
        self._pieces.put_nowait(b"")
        self._resume()

    def put(self, piece: bytes) -> None:
        """Take the next piece; the empty one is the last."""
        if not self._wanted:
            return
        self._pieces.put_nowait(piece)
        if self._transport and self._pieces.qsize() >= _UPLOAD_PIECES:
            self._transport.pause_reading()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """Give the next piece."""
        piece = await self._pieces.get()
        if self._pieces.empty():
            self._resume()
        if not piece:
            raise StopAsyncIteration
        return piece

    def _resume(self) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.resume_reading()


class Pump:
    """Feeds one answer into one stream, at the client's pace."""

    def __init__(self, stream: "SourceStream", handler: ConnectionHandler) -> None:
        self._stream = stream
        self._handler = handler

    async def whole(self, response: http.Response, body: bytes) -> None:
        """Send an answer in one go; returns once the client has taken enough of it."""
        response.stream = True
        stream_id = self._stream.stream_id
        await self._feed(
            ResponseHeaders(stream_id, response, end_stream=False),
            ResponseData(stream_id, body),
            ResponseEndOfMessage(stream_id),
        )
        await self._taken()

    async def head(self, response: http.Response, *, body: bool) -> None:
        """Send status and headers."""
        response.stream = True
        await self._feed(ResponseHeaders(self._stream.stream_id, response, end_stream=not body))

    async def data(self, data: bytes) -> None:
        """Send a piece of the body; returns once the client has taken enough of it."""
        await self._feed(ResponseData(self._stream.stream_id, data))
        await self._taken()

    async def end(self) -> None:
        """End the body."""
        await self._feed(ResponseEndOfMessage(self._stream.stream_id))

    async def crash(self) -> None:
        """Cut the client off: the answer can't be finished and must not look as if it were."""
        await self._feed(
            ResponseProtocolError(self._stream.stream_id, "internal error", ErrorCode.GENERIC_SERVER_ERROR)
        )

    async def _feed(self, *pieces: HttpEvent) -> None:
        await self._handler.server_event(FromChain(self._stream.source_layer, pieces))

    async def _taken(self) -> None:
        while self._stream._paused:  # noqa: ASYNC110 - mitmproxy has no event for it
            await asyncio.sleep(_PAUSED_S)
        await self._handler.drain_writers()


class SourceStream(HttpStream):
    """One request and the answer that the door gives."""

    source_layer: "SourceLayer"
    conversation: Conversation | None = None
    pump: asyncio.Task[None] | None = None

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        """Handle an event; where nobody else listens, call our own hooks without mitmproxy's machinery."""
        steps = super()._handle_event(event)
        hooks = self.source_layer.hooks
        if hooks is None:
            yield from steps
            return
        told: Any = None
        while True:
            try:
                command = steps.send(told)
            except StopIteration:
                return
            told = None
            if isinstance(command, HttpRequestHeadersHook):
                hooks.requestheaders(self.flow)
            elif isinstance(command, HttpRequestHook):
                hooks.request(self.flow)
            else:
                told = yield command

    def make_server_connection(self) -> layer.CommandGenerator[bool]:
        """Start the pump instead of connecting; False tells mitmproxy to send nothing itself."""
        self.conversation = self.source_layer.door.conversation(self.flow)
        if self.conversation is None:
            return (yield from super().make_server_connection())
        if self.source_layer.hooks is not None:
            self.server_state = self._quiet_head
        self._start(self.conversation)
        return False

    def start_request_stream(self) -> layer.CommandGenerator[None]:
        """Start the pump before the body is here; the conversation reads it as it comes."""
        self.conversation = self.source_layer.door.conversation(self.flow)
        if self.conversation is None or self.conversation.upload is None:
            return (yield from super().start_request_stream())
        self.client_state = self._stream_upload
        self._start(self.conversation)

    def _start(self, conversation: Conversation) -> None:
        handler: ConnectionHandler = ctx.master.addons.get("proxyserver").connections[self.context.client.id]
        if conversation.upload is not None:
            conversation.upload.attach(handler)
        self.pump = asyncio.get_running_loop().create_task(conversation.talk(Pump(self, handler)))

    def _stream_upload(self, event: HttpEvent) -> layer.CommandGenerator[None]:
        conversation = self.conversation
        if conversation is None or conversation.upload is None:
            return
        if isinstance(event, RequestData):
            conversation.upload.put(event.data)
        elif isinstance(event, RequestEndOfMessage):
            conversation.upload.put(b"")
            self.client_state = self.state_done
            yield HttpRequestHook(self.flow)
            if self.server_state == self.state_done:
                yield from self.flow_done()

    def state_consume_request_body(self, event: events.Event) -> layer.CommandGenerator[None]:
        """Collect the body, but never more than the door allows: the rest is read and dropped."""
        conversation = self.source_layer.door.conversation(self.flow)
        if isinstance(event, RequestData) and conversation and conversation.limit_bytes is not None:
            if len(self.request_body_buf) + len(event.data) > conversation.limit_bytes:
                conversation.too_large = True
                self.request_body_buf.clear()
            if conversation.too_large:
                return
        yield from super().state_consume_request_body(event)

    def _quiet_head(self, event: HttpEvent) -> layer.CommandGenerator[None]:
        """Pass the head on without the hooks that nobody listens to."""
        if isinstance(event, ResponseHeaders):
            self.flow.response = event.response
            yield SendHttp(event, self.context.client)
            self.server_state = self._quiet_body

    def _quiet_body(self, event: HttpEvent) -> layer.CommandGenerator[None]:
        if isinstance(event, ResponseEndOfMessage):
            self.server_state = self.state_done
            if self.client_state == self.state_done:
                yield from self.flow_done()
        else:
            yield SendHttp(event, self.context.client)

    def handle_protocol_error(
        self, event: RequestProtocolError | ResponseProtocolError
    ) -> layer.CommandGenerator[None]:
        """Cancel the pump when the client is gone. The stock code would tell a server that isn't there."""
        if self.conversation is None and isinstance(event, ResponseProtocolError):
            return (yield from self._upstream_failed(event))
        if self.conversation is None or not isinstance(event, RequestProtocolError):
            return (yield from super().handle_protocol_error(event))
        if self.pump is not None:
            self.pump.cancel()
        over = (self.state_done, self.state_errored)
        if self.client_state != self.state_errored and self.server_state not in over:
            self.flow.error = flow.Error(event.message)
            yield HttpErrorHook(self.flow)
        self.client_state = self.server_state = self.state_errored
        self.flow.live = False
        yield DropStream(self.stream_id)

    def _upstream_failed(self, event: ResponseProtocolError) -> layer.CommandGenerator[None]:
        """Answer for an upstream that mitmproxy itself could not reach, in place of its page of HTML."""
        if self.flow.response is None and self.client_state != self.state_errored:
            response = self.source_layer.door.unreachable()
            yield SendHttp(ResponseHeaders(self.stream_id, response), self.context.client)
            yield SendHttp(ResponseData(self.stream_id, response.content or b""), self.context.client)
            yield SendHttp(ResponseEndOfMessage(self.stream_id), self.context.client)
            self.client_state = self.state_errored  # the stock code tells the client nothing more
            self.flow.error = flow.Error(event.message)
            yield HttpErrorHook(self.flow)
        yield from super().handle_protocol_error(event)


class SourceLayer(HttpLayer):
    """mitmproxy's HTTP layer with source streams; an existing layer becomes one by `adopt`."""

    door: Door
    hooks: Hooks | None
    """Called directly instead of by mitmproxy, whose own response hooks are left out as well: see
    docs/decisions/0004-quiet-flows.md. None where somebody looks at flows."""

    @classmethod
    def adopt(cls, layers: Iterable[layer.Layer], door: Door, hooks: Hooks | None) -> None:
        """Turn the stock HTTP layer among these into a source layer."""
        for candidate in layers:
            if type(candidate) is HttpLayer:
                candidate.__class__ = cls
                candidate.door, candidate.hooks = door, hooks  # type: ignore[attr-defined]

    def make_stream(self, stream_id: int) -> layer.CommandGenerator[None]:
        """Make a source stream where the stock layer makes its own."""
        stream = self.streams[stream_id] = SourceStream(self.context.fork(), stream_id)
        stream.source_layer = self
        yield from self.event_to_child(stream, events.Start())

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if not isinstance(event, FromChain):
            yield from super()._handle_event(event)
        elif (stream := self.streams.get(event.pieces[0].stream_id)) is not None:
            yield from _joined(
                command for piece in event.pieces for command in self.event_to_child(stream, piece)
            )


def _joined(steps: Iterable[commands.Command]) -> Iterator[commands.Command]:
    """Join what goes to one connection in a row: each write costs a system call."""
    waiting: commands.SendData | None = None
    for command in steps:
        if waiting is not None:
            if isinstance(command, commands.SendData) and command.connection is waiting.connection:
                waiting.data += command.data
                continue
            yield waiting
            waiting = None
        if isinstance(command, commands.SendData):
            waiting = command
        else:
            yield command
    if waiting is not None:
        yield waiting
