"""Wire: one connection to Redis, fed by one task, and the scripts that go over it.

All that waits goes out together, and the answers come back in order: one round trip for an operation
or for many. No request ever holds the connection, so a client that leaves half way can't disturb the others.
"""

import asyncio
import contextlib
import hashlib
import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlsplit

from redis.asyncio import ConnectionPool
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError, ResponseError

from penstock.errors import StartError, StoreUnavailable

_log = logging.getLogger("penstock.stores")

_BATCH_CALLS: Final = 256  # sent at once
_SLOWEST_BYTES_PER_S: Final = 20_000_000  # what a batch's bytes may add to an operation's time
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


class Script:
    """A script of lua/, made of these parts in their order."""

    def __init__(self, *parts: str) -> None:
        folder = Path(__file__).parent / "lua"
        self.text = b"\n".join((folder / f"{part}.lua").read_bytes() for part in parts)
        self.sha = hashlib.sha1(self.text, usedforsecurity=False).hexdigest()


@dataclass(frozen=True, slots=True)
class Waits:
    """How long connecting and an operation may take, and how often a dead Redis is tried."""

    connect_s: float
    operation_s: float
    probe_s: float


@dataclass(slots=True, eq=False)
class _Call:
    """A command on its way; `done` rings when `answer` or `problem` is there."""

    command: tuple[Any, ...]
    script: Script | None
    done: asyncio.Future[None]
    answer: Any = None
    problem: Exception | None = None


class Wire:
    """One connection, fed by one task that makes it anew when it breaks.

    While it is down every call is refused at once: a dead Redis costs the requests nothing. A call whose
    connection broke under it is sent a second time, but not with `resend` False: then it may have happened.
    Raises StartError for an URL that can't be read.
    """

    def __init__(self, url: str, waits: Waits, *, resend: bool = True) -> None:
        self.where = _where(url)
        self._connection = _connection(url, waits.connect_s)
        self._waits = waits
        self._resend = resend
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

    async def call(self, *command: Any, script: Script | None = None) -> Any:  # noqa: ANN401
        """Send a command and give its answer; `script` is what EVALSHA means. Raises StoreUnavailable."""
        if not self._up:
            raise StoreUnavailable(f"Redis at {self.where} is not there")
        call = _Call(command, script, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        self._fed.set()
        await call.done
        if isinstance(call.problem, ResponseError):
            # Redis' own words may quote a key, so only their kind is told.
            raise StoreUnavailable(f"Redis at {self.where} refused: {type(call.problem).__name__}")
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
        """Connect, and say so where it was down before."""
        await self._greet()
        if self._tried.is_set():
            _log.warning("Redis at %s is back", self.where)
        self._up = True
        self._tried.set()

    async def _greet(self) -> None:
        """Connect, and see that Redis has loaded its data and lets us in."""
        async with asyncio.timeout(self._waits.connect_s):
            await self._connection.connect()  # type: ignore[no-untyped-call]
            await self._connection.send_command("PING")
            await self._connection.read_response()

    async def _break(self, problem: Exception) -> None:
        """Refuse all that waits, and say so once."""
        if self._up or not self._tried.is_set():
            _log.warning(
                "Redis at %s is not there (%s); it is tried again every %s s",
                *(self.where, type(problem).__name__, self._waits.probe_s),
            )
        self._up = False
        self._tried.set()
        self._refuse()
        with contextlib.suppress(RedisError, OSError):
            await self._connection.disconnect(nowait=True)

    def _refuse(self) -> None:
        self._refuse_sent()
        self._sent, self._waiting = self._waiting, []
        self._refuse_sent()

    def _refuse_sent(self) -> None:
        for call in self._sent:
            if not call.done.done():
                call.problem = StoreUnavailable(f"Redis at {self.where} did not answer")
                call.done.set_result(None)
        self._sent = []

    async def _exchange(self) -> None:
        """Send the batch and read its answers; a connection that was closed while idle is made anew once."""
        reader = self._connection._reader
        if reader is not None and reader.at_eof():
            await self._connection.disconnect(nowait=True)  # and sending connects
        try:
            unknown = await self._round_trip()
        except (Disconnected, OSError) as problem:
            if isinstance(problem, TimeoutError):
                raise
            if not self._resend:
                self._refuse_sent()
                return await self._greet()
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


def key_root(family: str, name: str) -> bytes:
    """Give the beginning of the keys of one name; the braces put all of them into one slot of a cluster."""
    return f"{family}:{{{quote(encoded(name), safe=':') or '%'}}}:".encode()


def encoded(text: str) -> bytes:
    """Give any Python string as bytes, lone surrogates among them."""
    return text.encode("utf-8", "surrogatepass")
