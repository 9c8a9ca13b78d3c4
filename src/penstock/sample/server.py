"""The sample upstream: an OpenAI-compatible server that needs no model, for tests, demo and trials."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from penstock.errors import Refusal
from penstock.sample import faults
from penstock.sample.call import Call
from penstock.sample.endpoints import UPLOADS, good
from penstock.sample.tally import Seen, Settings, Tally

LONGEST_S: Final = 120.0
"""No fault lasts longer than this."""

_STOP_S: Final = 0.02


@dataclass(slots=True)
class Running(Tally):
    """A server that runs until `stop`, and what it has seen. New `settings` hold from the next request on."""

    host: str = "127.0.0.1"
    port: int = 0
    settings: Settings = field(default_factory=Settings)
    _listener: asyncio.Server | None = field(default=None, repr=False)
    _handlers: web.Server | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """The base URL for an SDK."""
        return self._root + "/v1"

    def fault_url(self, scenario: str) -> str:
        """Give the base URL under which every call meets this fault."""
        return f"{self._root}/fault/{scenario}/v1"

    @property
    def open_connections(self) -> int:
        """How many clients are connected now."""
        return len(self._handlers.connections) if self._handlers else 0

    @property
    def _root(self) -> str:
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    async def stop(self) -> None:
        """Close the port and every connection, also those in the middle of an answer."""
        if self._listener is not None and self._handlers is not None:
            self._listener.close()
            transports = [connection.transport for connection in self._handlers.connections]
            await self._handlers.shutdown(_STOP_S)
            for transport in transports:  # those whose client does not read would stay open for good
                if transport is not None:
                    transport.abort()
            await self._listener.wait_closed()


async def serve(host: str = "127.0.0.1", port: int = 0, settings: Settings | None = None) -> Running:
    """Start the server; port 0 takes a free one. Raises OSError when the port is taken."""
    running = Running(host=host, settings=settings or Settings())
    handlers = web.Server(
        _Dispatch(running),
        handler_cancellation=True,
        access_log=None,
        auto_decompress=False,
    )

    def accept() -> asyncio.Protocol:
        running.connections += 1
        return handlers()

    listener = await asyncio.get_running_loop().create_server(accept, host, port)
    running.port = listener.sockets[0].getsockname()[1]
    running._listener, running._handlers = listener, handlers
    return running


class _Dispatch:
    """Takes each request: writes it down, then answers it well or with the fault it names."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._number = 0

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.rel_url.raw_path
        if path == "/health":
            counts = {name: getattr(self._running, name) for name in ("calls", "connections", "taken_bytes")}
            return web.json_response({"status": "ok", **counts})
        self._running.calls += 1
        self._number += 1
        call = Call(request, path, b"", self._number, self._running.settings, self._running)
        try:
            return await self._answer(call)
        except Refusal as refusal:
            return call.json(refusal.status, refusal.shape(), refusal.headers)
        except (TimeoutError, ConnectionError):
            if request.transport is not None:
                request.transport.abort()
            return web.Response()  # reaches nobody

    async def _answer(self, call: Call) -> web.StreamResponse:
        scenario, path = _split(call.path)
        call.path = path or call.path
        await self._read(call, keep=scenario is not None or (call.request.method, path) != UPLOADS)
        if path is None:
            raise call.unknown()
        _check_key(call.request, call.settings.key)
        model = call.body.get("model") if isinstance(call.body, dict) else None
        if scenario is None and isinstance(model, str) and model.startswith(faults.MODEL_PREFIX):
            scenario = model.removeprefix(faults.MODEL_PREFIX)
        if scenario is not None:
            async with asyncio.timeout(LONGEST_S):
                return await faults.answer(call, scenario)
        return await good(call)

    async def _read(self, call: Call, *, keep: bool) -> None:
        """Write the request down, and its body if that is to be kept."""
        request = call.request
        if request.headers.get("expect", "").lower() == "100-continue" and request.transport is not None:
            request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if keep:
            call.take(await request.content.read())
        peer = request.transport.get_extra_info("peername") if request.transport else None
        seen = Seen(
            call.settings.clock.now(),
            request.method,
            request.rel_url.raw_path,
            request.rel_url.raw_query_string,
            request.headers.copy(),
            call.raw,
            peer[1] if peer else 0,
        )
        self._running.see(seen, call.settings.keep)


def _check_key(request: web.BaseRequest, key: str | None) -> None:
    told = (
        request.headers.get("authorization", "").removeprefix("Bearer "),
        request.headers.get("api-key"),
        request.headers.get("x-api-key"),
    )
    if key is not None and key not in told:
        raise Refusal(401, "invalid_api_key", "Incorrect API key provided.")


def _split(path: str) -> tuple[str | None, str | None]:
    """Give the scenario of /fault/<scenario>/v1/..., and the path below /v1; None for what is not there."""
    scenario = None
    if path.startswith("/fault/"):
        scenario, _, rest = path.removeprefix("/fault/").partition("/")
        path = "/" + rest
    return scenario, path.removeprefix("/v1") if path.startswith("/v1/") else None
