"""Redis: the store that several machines share, from Redis 6.2 on.

All that waits goes out together over one connection for reads and one for writes, and the answers come
back in order: one round trip for an operation or for many. No request ever holds a connection, so a
client that leaves half way can't disturb the others. The server must not evict keys by itself
(`maxmemory-policy noeviction`): the scripts in lua/ keep each space within its limit.
"""

import asyncio
import contextlib
import hashlib
import logging
import math
import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import batched
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import parse_qsl, quote, urlsplit

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError, ResponseError

from penstock.clock import SYSTEM, Clock
from penstock.errors import StartError, StoreUnavailable
from penstock.stores.protocol import Entry

_log = logging.getLogger("penstock.stores")

_HEADER: Final = struct.Struct(">d")  # before each value: when it expires, in seconds since the epoch
_PUT_ENTRIES: Final = 64  # in one script call, which no other client can interrupt
_DELETE_KEYS: Final = 500
_FAR_MS: Final = 2**53  # beyond it Lua can't count milliseconds
_BATCH_CALLS: Final = 256  # sent at once
_SLOWEST_BYTES_PER_S: Final = 20_000_000  # what a batch's bytes may add to an operation's time
_ENTRY: Final = b"e:"
_TLS: Final = {
    "ssl_ca_certs",
    "ssl_ca_path",
    "ssl_certfile",
    "ssl_keyfile",
    "ssl_cert_reqs",
    "ssl_check_hostname",
}
_OPTIONS: Final = {"db", "client_name"} | _TLS
_FORMS: Final = (
    "the store's URL can't be read; it is redis://, rediss:// or unix://: redis://[user:password@]host[:port][/database]"
    " or unix:///path[?db=database], and a password's special characters are percent-encoded"
)


class _Script:
    """A script of lua/, with the account it works on in front."""

    def __init__(self, name: str) -> None:
        folder = Path(__file__).parent / "lua"
        self.text = b"\n".join((folder / f"{part}.lua").read_bytes() for part in ("account", name))
        self.sha = hashlib.sha1(self.text, usedforsecurity=False).hexdigest()


_PUT, _DELETE, _CLEAR, _SIZE = (_Script(name) for name in ("put", "delete", "clear", "size"))


class RedisStore:
    """A `Store` in one Redis server."""

    def __init__(self, url: str, clock: Clock, connect_s: float, operation_s: float, probe_s: float) -> None:
        self._clock = clock
        self._where = _where(url)
        waits = _Waits(connect_s, operation_s, probe_s)
        self._reads = _Wire(_connection(url, connect_s), self._where, waits)
        self._writes = _Wire(_connection(url, connect_s), self._where, waits)

    @classmethod
    async def open(
        cls,
        url: str,
        clock: Clock = SYSTEM,
        connect_s: float = 0.25,
        operation_s: float = 0.25,
        probe_s: float = 0.5,
    ) -> Self:
        """Connect; a Redis that is not there yet is tried again every `probe_s`, and is no error.

        Raises StartError for an URL that can't be read.
        """
        store = cls(url, clock, connect_s, operation_s, probe_s)
        await asyncio.gather(store._reads.start(), store._writes.start())
        return store

    def __repr__(self) -> str:
        return f"RedisStore({self._where})"

    async def get(self, space: str, key: str) -> Entry | None:
        """Give the live entry, or None. Raises StoreUnavailable."""
        sealed = await self._reads.call("GET", _root(space) + _ENTRY + _bytes(key))
        if sealed is None:
            return None
        if len(sealed) < _HEADER.size:
            raise StoreUnavailable("Redis holds a value there that is not Penstock's")
        (expires_at,) = _HEADER.unpack_from(sealed)
        if expires_at <= self._clock.now():
            return None
        return Entry(space, key, sealed[_HEADER.size :], expires_at)

    async def put(self, entries: Sequence[Entry], *, limit_bytes: int) -> None:
        """Keep the entries, all in one round trip; see `Store`. Raises StoreUnavailable."""
        by_space: dict[str, list[Entry]] = {}
        for entry in entries:
            by_space.setdefault(entry.space, []).append(entry)
        steps = [
            self._put(space, step, limit_bytes)
            for space, its in by_space.items()
            for step in batched(its, _PUT_ENTRIES)
        ]
        await asyncio.gather(*steps)

    async def delete(self, space: str, keys: Sequence[str] | None = None) -> int:
        """Forget, in bounded steps; give how many live entries went. Raises StoreUnavailable."""
        gone = 0
        if keys is not None:
            for step in batched(map(_bytes, keys), _DELETE_KEYS):
                gone += await self._run(_DELETE, space, *step)
            return gone
        up_to: bytes | None = None
        while up_to != b"":
            went, up_to = await self._run(_CLEAR, space, up_to or b"")
            gone += went
        return gone

    async def size_bytes(self, space: str) -> int:
        """Give the bytes of a space's live values. Raises StoreUnavailable."""
        while True:
            size, more = await self._run(_SIZE, space)
            if not more:
                return int(size)

    async def ping(self) -> None:
        """Return if Redis answers. Raises StoreUnavailable."""
        await self._reads.call("PING")

    async def close(self) -> None:
        """Send what waits and let go of the connections."""
        await asyncio.gather(self._reads.stop(), self._writes.stop())

    async def _put(self, space: str, entries: Iterable[Entry], limit_bytes: int) -> None:
        packed: list[bytes | int] = []
        for entry in entries:
            ends_ms = int(min(entry.expires_at * 1000, _FAR_MS))
            packed += _bytes(entry.key), ends_ms, _HEADER.pack(entry.expires_at) + entry.value
        while await self._run(_PUT, space, limit_bytes, *packed):
            packed = []

    async def _run(self, script: _Script, space: str, *arguments: bytes | int) -> Any:  # noqa: ANN401
        root = _root(space)
        now_ms = math.ceil(self._clock.now() * 1000)
        index = root + b"age", root + b"ends", root + b"book"
        return await self._writes.call(
            "EVALSHA", script.sha, len(index), *index, root + _ENTRY, now_ms, *arguments, script=script
        )


@dataclass(frozen=True, slots=True)
class _Waits:
    """How long connecting and an operation may take, and how often a dead Redis is tried."""

    connect_s: float
    operation_s: float
    probe_s: float


@dataclass(slots=True, eq=False)
class _Call:
    """A command on its way; `done` rings when `answer` or `problem` is there."""

    command: tuple[Any, ...]
    script: _Script | None
    done: asyncio.Future[None]
    answer: Any = None
    problem: Exception | None = None


class _Wire:
    """One connection, fed by one task that makes it anew when it breaks.

    While it is down every call is refused at once: a dead Redis costs the requests nothing.
    """

    def __init__(self, connection: AbstractConnection, where: str, waits: _Waits) -> None:
        self._connection = connection
        self._where = where
        self._waits = waits
        self._waiting: list[_Call] = []
        self._sent: list[_Call] = []
        self._fed = asyncio.Event()
        self._tried = asyncio.Event()
        self._up = False
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the task and wait until it has connected, or failed to once."""
        self._task = asyncio.create_task(self._live())
        await self._tried.wait()

    async def call(self, *command: Any, script: _Script | None = None) -> Any:  # noqa: ANN401
        """Send a command and give its answer; `script` is what EVALSHA means. Raises StoreUnavailable."""
        if not self._up:
            raise StoreUnavailable(f"Redis at {self._where} is not there")
        call = _Call(command, script, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        self._fed.set()
        await call.done
        if isinstance(call.problem, ResponseError):
            # Redis' own words may quote a key, so only their kind is told.
            raise StoreUnavailable(f"Redis at {self._where} refused: {type(call.problem).__name__}")
        if call.problem is not None:
            raise call.problem
        return call.answer

    async def stop(self) -> None:
        """Send what waits, then disconnect."""
        with contextlib.suppress(StoreUnavailable):
            await self.call("PING")  # answered after all that was there before it
        self._up = False
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._refuse()
        await self._connection.disconnect()

    async def _live(self) -> None:
        while True:
            try:
                await self._connect()
                while True:
                    await self._fed.wait()
                    self._fed.clear()
                    while self._waiting:
                        self._sent = self._waiting[:_BATCH_CALLS]
                        del self._waiting[:_BATCH_CALLS]
                        await self._exchange()
            except Exception as problem:  # whatever it is, the next try may go well
                await self._break(problem)
            await asyncio.sleep(self._waits.probe_s)

    async def _connect(self) -> None:
        """Connect, and see that Redis has loaded its data and lets us in."""
        async with asyncio.timeout(self._waits.connect_s):
            await self._connection.connect()  # type: ignore[no-untyped-call]
            await self._connection.send_command("PING")
            await self._connection.read_response()
        if self._tried.is_set():
            _log.warning("Redis at %s is back", self._where)
        self._up = True
        self._tried.set()

    async def _break(self, problem: Exception) -> None:
        """Refuse all that waits, and say so once."""
        if self._up or not self._tried.is_set():
            _log.warning(
                "Redis at %s is not there (%s); it is tried again every %s s",
                *(self._where, type(problem).__name__, self._waits.probe_s),
            )
        self._up = False
        self._tried.set()
        self._refuse()
        with contextlib.suppress(RedisError, OSError):
            await self._connection.disconnect(nowait=True)

    def _refuse(self) -> None:
        for call in self._sent + self._waiting:
            if not call.done.done():
                call.problem = StoreUnavailable(f"Redis at {self._where} did not answer")
                call.done.set_result(None)
        self._sent, self._waiting = [], []

    async def _exchange(self) -> None:
        """Send the batch and read its answers; a connection that was closed while idle is made anew once."""
        try:
            unknown = await self._round_trip()
        except (Disconnected, OSError) as problem:
            if isinstance(problem, TimeoutError):
                raise
            unknown = await self._round_trip()
        if unknown:
            await self._round_trip()

    async def _round_trip(self) -> bool:
        """Send what has no answer yet, and read the answers; True if Redis did not know a script."""
        unknown = False
        batch = [call for call in self._sent if not call.done.done()]
        packed = self._connection.pack_commands([call.command for call in batch])
        slack_s = sum(map(len, packed)) / _SLOWEST_BYTES_PER_S
        async with asyncio.timeout(self._waits.operation_s + slack_s):
            await self._connection.send_packed_command(packed)
            for call in batch:
                try:
                    call.answer = await self._connection.read_response()
                except ResponseError as refusal:
                    if isinstance(refusal, NoScriptError) and call.script:
                        call.command = ("EVAL", call.script.text, *call.command[2:])
                        unknown = True
                        continue
                    call.problem = refusal
                if not call.done.done():  # else its caller has left
                    call.done.set_result(None)
        if any(isinstance(call.problem, ReadOnlyError) for call in batch):
            # The server became a replica; a new connection may find the new primary.
            await self._connection.disconnect(nowait=True)
        return unknown


def _where(url: str) -> str:
    """Give what may be shown of a URL: no credentials. Raises StartError for one that can't be read."""
    try:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
        port = parts.port or 6379
    except ValueError:
        raise StartError(_FORMS) from None
    if parts.fragment or not options.keys() <= _OPTIONS:
        raise StartError(_FORMS)
    if parts.scheme == "unix" and parts.path and not parts.hostname:
        return f"unix://{parts.path}"
    if parts.scheme in ("redis", "rediss") and parts.hostname and re.fullmatch(r"(/\d*)?", parts.path):
        return f"{parts.scheme}://{parts.hostname}:{port}{parts.path}"
    raise StartError(_FORMS)


def _connection(url: str, connect_s: float) -> AbstractConnection:
    """Give a connection that is not connected yet. Raises StartError for options that can't be read."""
    try:
        # RESP 2 is all we need, and it costs no handshake.
        waits = {"socket_timeout": None, "socket_connect_timeout": connect_s}
        pool = ConnectionPool.from_url(url, protocol=2, **waits)
        made: AbstractConnection = pool.make_connection()  # type: ignore[no-untyped-call]
    except (ValueError, TypeError, RedisError):
        raise StartError(_FORMS) from None
    return made


def _root(space: str) -> bytes:
    """Give the beginning of a space's keys; the braces put all of them into one slot of a cluster."""
    return f"penstock:{{{quote(_bytes(space), safe=':') or '%'}}}:".encode()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
