"""Faults of the connection: answers that never come, come broken, or come in crumbs."""

import asyncio
import socket
import struct
from typing import Final

import msgspec
from aiohttp import web

from penstock.sample.call import Call

FOREVER_S: Final = 3600.0
"""Longer than the server lets any fault last."""

_SETTLE_S: Final = 0.05
_PIECE: Final = b" " * 65_536
_LINGER_NOT: Final = struct.pack("ii", 1, 0)


async def close(call: Call) -> web.StreamResponse:
    """Close the connection properly, before any answer."""
    return finish(call)


async def reset(call: Call) -> web.StreamResponse:
    """Reset the connection before any answer."""
    return await sever(call)


async def hang(call: Call) -> web.StreamResponse:
    """Send nothing until the client leaves."""
    await asyncio.sleep(FOREVER_S)
    return finish(call)


async def hang_after_head(call: Call) -> web.StreamResponse:
    """Send a status and headers, and nothing more until the client leaves."""
    kind = {} if call.streamed else {"content-type": "application/json"}
    await call.open(kind)
    return await hang(call)


async def short(call: Call) -> web.StreamResponse:
    """Promise the whole answer by content-length and close after half of it."""
    raw = msgspec.json.encode(call.answer())
    headers = {"content-type": "application/json", "content-length": str(len(raw))}
    stream = await call.open(headers)
    await stream.write(raw[: len(raw) // 2])
    return finish(call)


async def slow_head(call: Call) -> web.StreamResponse:
    """Send the answer's head byte by byte."""
    raw = msgspec.json.encode(call.answer())
    told = {
        **call.headers,
        "content-type": "application/json",
        "content-length": str(len(raw)),
        "connection": "close",
    }
    lines = [b"HTTP/1.1 200 OK", *(f"{name}: {value}".encode() for name, value in told.items())]
    transport = _transport(call)
    for byte in b"\r\n".join(lines) + b"\r\n\r\n":
        transport.write(bytes((byte,)))
        await asyncio.sleep(call.settings.drip_ms / 1000)
        if transport.is_closing():
            raise ConnectionResetError
    transport.write(raw)
    return finish(call)


async def huge(call: Call) -> web.StreamResponse:
    """Send a correct answer behind as many MB of blanks as the scenario says."""
    raw = msgspec.json.encode(call.answer())
    stream = await call.open({"content-type": "application/json"})
    for _ in range(call.after * 1_048_576 // len(_PIECE)):
        await stream.write(_PIECE)
    await stream.write(raw)
    return stream


def finish(call: Call) -> web.StreamResponse:
    """Close the connection once all that was written is out; a FIN for the client."""
    _transport(call).close()
    return web.Response()  # reaches nobody


async def sever(call: Call) -> web.StreamResponse:
    """Reset the connection; a RST for the client."""
    # What the socket still holds would be lost with a reset: let the client have it first.
    await asyncio.sleep(_SETTLE_S)
    transport = _transport(call)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    transport.abort()
    return web.Response()  # reaches nobody


def _transport(call: Call) -> asyncio.Transport:
    transport = call.request.transport
    if not isinstance(transport, asyncio.Transport):
        raise ConnectionResetError
    return transport
