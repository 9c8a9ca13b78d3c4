"""An answer as aiohttp gives it, made of a list of reads."""

import asyncio
from collections.abc import Mapping, Sequence

from multidict import CIMultiDict, CIMultiDictProxy

HANG = object()
"""A read that never comes back."""

Read = bytes | Exception | object


class FakeResponse:
    """Gives its reads in turn, then a clean end; notes how it was let go of."""

    def __init__(
        self, reads: Sequence[Read] = (), *, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        self.status = status
        self.headers = CIMultiDictProxy(CIMultiDict(headers or {}))
        self.content = self
        self.let_go: list[str] = []
        self.unread = list(reads)
        self._ended = False

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "application/octet-stream").partition(";")[0].lower()

    def at_eof(self) -> bool:
        return self._ended

    async def readany(self) -> bytes:
        read = self.unread.pop(0) if self.unread else b""
        if read is HANG:
            await asyncio.Event().wait()
        if isinstance(read, Exception):
            raise read
        assert isinstance(read, bytes)
        self._ended = self._ended or not read
        return read

    def _read_nowait(self, _most: int) -> bytes:
        """Give what had arrived before the break: nothing, for each read here is one arrival."""
        return b""

    def close(self) -> None:
        self.let_go.append("closed")

    def release(self) -> None:
        self.let_go.append("released")
