"""Faults of a stream while it runs: cut, reset, hung, dripped, compressed, endless.

They act on streams only; a plain request gets its plain answer.
"""

import asyncio
import zlib
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from penstock.openai.sse import Event
from penstock.sample.call import Call
from penstock.sample.endpoints import good
from penstock.sample.faults import bends, connection
from penstock.sample.faults.status import Act

Bend = Callable[[list[Event], int], list[bytes]]

_WINDOW_BITS: Final = {"gzip": 31, "deflate": 15}
"""zlib's numbers; HTTP's deflate is zlib's own format (RFC 9110, 8.4.1.2)."""

_BATCH: Final = 16


def of_streams(act: Act) -> Act:
    """Leave requests alone that don't ask for a stream."""

    async def act_on_streams(call: Call) -> web.StreamResponse:
        return await (act if call.streamed else good)(call)

    return act_on_streams


def bent(bend: Bend) -> Act:
    """Send what `bend` makes of the good stream, and end it as a good one ends."""

    async def act(call: Call) -> web.StreamResponse:
        blocks = bend(call.events(), call.after)
        stream = await call.open()
        await call.send(stream, blocks)
        return stream

    return of_streams(act)


def begun(end: Callable[[Call], Awaitable[web.StreamResponse]]) -> Act:
    """Send the first events and then let `end` have the connection."""

    async def act(call: Call) -> web.StreamResponse:
        blocks = bends.first(call.events(), call.after)
        await call.send(await call.open(), blocks)
        return await end(call)

    return of_streams(act)


cut: Final = begun(connection.close)
reset: Final = begun(connection.reset)
hang: Final = begun(connection.hang)


async def held(call: Call) -> web.StreamResponse:
    """Keep the connection open for a while after the last event."""
    events = call.events()
    stream = await call.open()
    await call.send(stream, bends.raw(events))
    await asyncio.sleep(call.settings.held_ms / 1000)
    return stream


async def drip(call: Call) -> web.StreamResponse:
    """Send one byte at a time, with a pause before each."""
    whole = b"".join(bends.raw(call.events()))
    stream = await call.open()
    for at in range(len(whole)):
        await asyncio.sleep(call.settings.drip_ms / 1000)
        await stream.write(whole[at : at + 1])
    return stream


async def slow_first(call: Call) -> web.StreamResponse:
    """Send the head at once and the first event late."""
    events = call.events()
    stream = await call.open()
    await asyncio.sleep(call.settings.slow_ms / 1000)
    await call.send(stream, bends.raw(events))
    return stream


async def usage_on_finish(call: Call) -> web.StreamResponse:
    """Tell the usage on the finish chunk, whether the client asked for it or not."""
    call.body = {**call.body, "stream_options": {"include_usage": True}}
    return await bent(bends.usage_on_finish)(call)


async def wrong_type(call: Call) -> web.StreamResponse:
    """Call the stream text/plain."""
    events = call.events()
    stream = await call.open({"content-type": "text/plain"})
    await call.send(stream, bends.raw(events))
    return stream


async def endless(call: Call) -> web.StreamResponse:
    """Repeat the answer's words as fast as the client takes them, and count the bytes."""
    events = call.events()
    block = bends.content_of(events) * _BATCH
    stream = await call.open()
    while True:
        await stream.write(block)
        call.tally.taken_bytes += len(block)
        await asyncio.sleep(0)  # a client that takes all must not keep the loop from others


def compressed(coding: str) -> Act:
    """Compress streams, flushed at every event, and plain answers; whether accepted or not."""

    async def act(call: Call) -> web.StreamResponse:
        squeezer = zlib.compressobj(wbits=_WINDOW_BITS[coding])
        headers = {"content-encoding": coding}
        if not call.streamed:
            plain = await good(call)
            whole = plain.body if isinstance(plain, web.Response) and isinstance(plain.body, bytes) else b""
            squeezed = squeezer.compress(whole) + squeezer.flush()
            return call.plain(200, squeezed, {**headers, "content-type": "application/json"})
        blocks = bends.raw(call.events())
        stream = await call.open(headers)
        await call.send(
            stream, (squeezer.compress(block) + squeezer.flush(zlib.Z_SYNC_FLUSH) for block in blocks)
        )
        await stream.write(squeezer.flush())
        return stream

    return act
