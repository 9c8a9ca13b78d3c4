"""What the sample upstream answers when nothing is wrong."""

import asyncio
import hashlib
from typing import Final

from aiohttp import WSMsgType, web

from penstock.sample.answers import models
from penstock.sample.call import Call

UPLOADS: Final = ("POST", "/files")
"""The one endpoint whose body is not read before it is answered."""


async def good(call: Call) -> web.StreamResponse:
    """Answer as a working upstream does. Raises Refusal."""
    where = call.request.method, call.path
    if where == ("GET", "/models"):
        return call.json(200, models.listing())
    if call.request.method == "GET" and call.path.startswith("/models/"):
        return call.json(200, models.model(call.path.removeprefix("/models/")))
    if where == ("GET", "/realtime"):
        return await _echo(call)
    if where == UPLOADS:
        return await _upload(call)
    if call.streamed:
        return await _streamed(call)
    answer = call.answer()
    await asyncio.sleep(call.settings.first_ms / 1000)
    return call.json(200, answer)


async def _streamed(call: Call) -> web.StreamResponse:
    events = call.events()
    stream = await call.open()
    await call.send(stream, (event.raw for event in events))
    return stream


async def _upload(call: Call) -> web.StreamResponse:
    """Count and hash an upload of any size and kind; nothing of it is kept."""
    size_bytes, digest = 0, hashlib.sha256()
    async for piece in call.request.content.iter_any():
        size_bytes += len(piece)
        digest.update(piece)
    told = {
        "id": f"file-{call.number:08d}",
        "object": "file",
        "bytes": size_bytes,
        "created_at": int(call.settings.clock.now()),
        "filename": "upload",
        "purpose": "user_data",
        "status": "processed",
        "sha256": digest.hexdigest(),
    }
    return call.json(200, told)


async def _echo(call: Call) -> web.StreamResponse:
    """Send every message of a WebSocket back, until the client closes it."""
    socket = web.WebSocketResponse(protocols=("realtime",))
    await socket.prepare(call.request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket
