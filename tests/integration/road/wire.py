"""A plain HTTP/1.1 client that shows every byte, each chunk as it came, and how the answer ended."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import msgspec
from multidict import CIMultiDict

from penstock.openai.sse import DONE, Event, Parser

LIMIT_BYTES = 64 * 1024 * 1024


@dataclass
class Answer:
    """A whole answer. `clean` says that the body ended as its framing promised."""

    status: int
    headers: CIMultiDict[str]
    body: bytes
    clean: bool

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def events(self) -> list[Event]:
        return events_in(self.body)

    @property
    def errors(self) -> list[Any]:
        """The error events of a stream."""
        return [e.json["error"] for e in self.events if isinstance(e.json, dict) and e.json.get("error")]

    @property
    def text(self) -> str:
        """What a chat stream says."""
        choices = [c for e in self.events if isinstance(e.json, dict) for c in e.json.get("choices", ())]
        return "".join(c["delta"].get("content") or "" for c in choices)

    @property
    def finished(self) -> bool:
        """Whether a chat stream tells a finish reason."""
        told = [e.json for e in self.events if isinstance(e.json, dict)]
        return any(c.get("finish_reason") for t in told for c in t.get("choices", ()))


Ask = Callable[..., Awaitable[Answer]]


def events_in(body: bytes) -> list[Event]:
    parser = Parser(LIMIT_BYTES)
    return [*parser.feed(body), *parser.end()]


def without_stamps(events: list[Event]) -> list[Any]:
    """Give the events' JSON without the ids and times that differ from call to call."""
    return [e.data if e.data == DONE else {**e.json, "id": "", "created": 0} for e in events if e.data]


@dataclass
class Wire:
    """One TCP connection to a server on loopback."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    headers: CIMultiDict[str] = field(default_factory=CIMultiDict)

    @classmethod
    async def to(cls, port: int, limit: int = LIMIT_BYTES) -> Self:
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=limit))

    def ask(
        self,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        method: str | None = None,
    ) -> None:
        """Write a request; a body that is no bytes is sent as JSON."""
        raw = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        told = {"host": "gateway.test", **({"content-length": str(len(raw))} if body is not None else {})}
        if body is not None:
            told["content-type"] = "application/json"
        lines = [f"{method or ('GET' if body is None else 'POST')} {path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in {**told, **(headers or {})}.items()]
        self.writer.write("\r\n".join([*lines, "", ""]).encode() + raw)

    async def head(self) -> int:
        """Read the answer's head, keep its headers and give its status."""
        lines = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        self.headers = CIMultiDict(line.split(": ", 1) for line in lines[1:] if line)
        return int(lines[0].split()[1])

    async def pieces(self) -> AsyncIterator[bytes]:
        """Give the body's chunks. Raises IncompleteReadError where it is cut."""
        if self.headers.get("transfer-encoding") != "chunked":
            if rest := await self.reader.readexactly(int(self.headers.get("content-length", 0))):
                yield rest
            return
        while size := int(await self._line(), 16):
            yield await self.reader.readexactly(size)
            await self._line()
        await self._line()

    async def answer(self, *, bodiless: bool = False) -> Answer:
        """Read a whole answer."""
        status, body, clean = await self.head(), b"", True
        try:
            if not bodiless:
                async for piece in self.pieces():
                    body += piece
        except (asyncio.IncompleteReadError, ConnectionError):
            clean = False
        return Answer(status, self.headers, body, clean)

    async def _line(self) -> bytes:
        line = await self.reader.readline()
        if not line.endswith(b"\r\n"):
            raise asyncio.IncompleteReadError(line, None)
        return line

    def leave(self) -> None:
        """Close at once."""
        self.writer.close()
