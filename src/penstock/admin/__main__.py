"""`python -m penstock.admin`: reads its settings from the first line of stdin and ends when stdin does."""

import asyncio
import signal
import sys

from penstock.admin.server import Told, serve
from penstock.settings import log_level_from_environment
from penstock.telemetry import log as logs


async def _main() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    told = Told.read(await reader.readline())
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set if number == signal.SIGTERM else lambda: None)
    gone = loop.create_task(reader.read())
    gone.add_done_callback(lambda _: stop.set())
    await serve(told, stop)


if __name__ == "__main__":
    logs.set_up(log_level_from_environment())
    asyncio.run(_main())
