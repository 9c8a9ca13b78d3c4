"""`sample-upstream`: an OpenAI-compatible server to try things against; it can fail on purpose."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence

from penstock.errors import StartError
from penstock.sample import Settings, faults, serve
from penstock.settings import Address, address_option, options_parser


def run(words: Sequence[str]) -> int:
    """Serve until told to stop. Raises StartError when the port is taken."""
    parser = argparse.ArgumentParser(
        "penstock sample-upstream", parents=[options_parser()], allow_abbrev=False
    )
    parser.add_argument("--listen", type=address_option, default="127.0.0.1:9100", metavar="HOST:PORT")
    parser.add_argument("--key", help="the API key that clients must send; none is asked for if left out")
    parser.add_argument(
        "--first-ms", type=float, default=0.0, metavar="MS", help="wait before an answer's first byte"
    )
    parser.add_argument(
        "--delay-ms", type=float, default=0.0, metavar="MS", help="wait before each event of a stream"
    )
    parser.add_argument("--list", action="store_true", help="list the faults and how to ask for one")
    options = parser.parse_args(words)
    if options.list:
        print(faults.listing())
        return 0
    settings = Settings(key=options.key, first_ms=options.first_ms, delay_ms=options.delay_ms)
    asyncio.run(_serve(options.listen, settings))
    return 0


async def _serve(listen: Address, settings: Settings) -> None:
    try:
        running = await serve(listen.host, listen.port, settings)
    except OSError as problem:
        raise StartError(f"--listen {listen}: {problem.strerror}") from None
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    print(f"sample upstream: {running.url}", flush=True)
    print("faults: penstock sample-upstream --list", file=sys.stderr)
    await stop.wait()
    await running.stop()
