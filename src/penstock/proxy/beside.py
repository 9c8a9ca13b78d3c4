"""The admin process that runs beside the gateway and ends with it."""

import asyncio
import contextlib
import json
import logging
import sys
from asyncio.subprocess import Process
from typing import Final

from penstock.settings import UpSettings

log = logging.getLogger("penstock.proxy")
_AGAIN_S: Final = 1.0
_START_S: Final = 15.0


class AdminProcess:
    """Starts `python -m penstock.admin`, and again if it dies. Our end of its stdin is its lease of life."""

    def __init__(self, up: UpSettings) -> None:
        self._up = up
        self._process: Process | None = None
        self._watch: asyncio.Task[None] | None = None
        self._listens = asyncio.Event()

    async def start(self) -> None:
        """Start it and wait until it listens, though not for ever."""
        self._watch = asyncio.get_running_loop().create_task(self._keep_alive())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._listens.wait(), _START_S)

    async def stop(self) -> None:
        """End it and wait until it is gone."""
        if self._watch is not None:
            self._watch.cancel()
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()

    async def _keep_alive(self) -> None:
        told = {
            "admin": str(self._up.admin),
            "gateway": str(self._up.listen),
            "store": self._up.settings.store,
            "state": str(self._up.settings.state),
            "policies": str(self._up.settings.policies),
        }
        while True:
            self._process = process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "penstock.admin",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
            if process.stdin is not None:  # by pipe, not by argument: a store's URL may hold a password
                process.stdin.write(json.dumps(told).encode() + b"\n")
            if process.stdout is not None and await process.stdout.readline():
                self._listens.set()
            code = await process.wait()
            log.error("the admin process ended with code %s; it is started again", code)
            await asyncio.sleep(_AGAIN_S)
