"""An upstream becomes slower at run time: who still waits for it, and how soon is it back at work?

    .venv/bin/python benchmarks/slow_upstream.py [--slower 5] [--calm 30] [--slow 60] [--after 40]

Two gateways stand in front of the same two sample upstreams, in the same seconds: one with the routing stage
as shipped, one with a stage that takes turns. Each has 16 connections that ask one request after the other,
every second one for a stream; a latency is from the request to the answer's last byte. After the calm the
upstream `west` takes so many times longer to its first byte, then it is as before.

The goals: less than 10 % of the traffic within 30 s, more than 30 % again afterwards, and a p95 over the
incident of at most 0.8 of what taking turns has. Nothing is asserted. Upstreams and clients are in this one
process; where it can't keep up, the p95 of the calm is far above what an upstream takes.
"""

import argparse
import asyncio
import contextlib
import itertools
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import aiohttp

from penstock.sample import Running, Settings, serve

CONNECTIONS: Final = 16
SHIPPED: Final = Path(__file__).parents[1] / "policies"
UPSTREAMS: Final = """
default: east
upstreams:
  east: {{url: "{east}"}}
  west: {{url: "{west}"}}
"""
ROUTING: Final = """
aliases:
  auto: {candidates: [{model: gpt-4o-mini, upstreams: [east, west]}], stick: none}
"""
TURNS: Final = '''
"""Takes turns."""
import itertools
from penstock.policy.base import StagePolicy
from penstock.stage import Stage

class TurnsPolicy(StagePolicy):
    """Nothing to say."""
    file = "turns"

class Turns(Stage[TurnsPolicy]):
    """East, west, east, west."""
    name, policy, after = "turns", TurnsPolicy, ("identify",)

    async def start(self, resources):
        self._names = itertools.cycle(("east", "west"))

    async def answer(self, exchange, proceed):
        exchange.request = exchange.request.with_fields(model="gpt-4o-mini")
        exchange.target = next(self._names)
        return await proceed(exchange)
'''


@dataclass
class Arm:
    """One gateway, and what its clients saw: when they asked (from the beginning), who answered, seconds."""

    name: str
    url: str
    answers: list[tuple[float, str, float]] = field(default_factory=list)
    failed: int = 0

    def within(self, begin: float, end: float) -> list[tuple[float, str, float]]:
        return [answer for answer in self.answers if begin <= answer[0] < end]

    def p95(self, begin: float, end: float) -> float:
        seconds = sorted(taken for _, _, taken in self.within(begin, end))
        return seconds[len(seconds) * 95 // 100] if seconds else float("nan")

    def shares(self, seconds: int) -> list[float]:
        """Give west's share of each second's requests; of a second without any, the one's before."""
        shares = [0.5]
        for second in range(seconds):
            asked = [by for _, by, _ in self.within(second, second + 1)]
            shares.append(asked.count("west") / len(asked) if asked else shares[-1])
        return shares[1:]


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="An upstream that becomes slower at run time.")
    parser.add_argument("--slower", type=float, default=5.0, metavar="FACTOR")
    parser.add_argument("--first-ms", type=float, default=200.0, metavar="MS", help="what an upstream takes")
    for phase, seconds in (("calm", 30), ("slow", 60), ("after", 40)):
        parser.add_argument(f"--{phase}", type=int, default=seconds, metavar="SECONDS")
    return parser.parse_args()


def free_port() -> int:
    """Find a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def gateway(folder: Path, stage: str, east: Running, west: Running) -> AsyncIterator[Arm]:
    """Run a gateway with this stage between the clients and the upstreams."""
    shutil.copytree(SHIPPED, folder / "policies", ignore=shutil.ignore_patterns("*_test.yaml"))
    for name, text in (
        ("chain", f"order: [identify, {stage}, upstream]\n"),
        ("upstreams", UPSTREAMS.format(east=east.url, west=west.url)),
        ("routing", ROUTING if stage == "routing" else "aliases: {}\n"),
        ("turns", "on_failure: reject\n"),
    ):
        (folder / "policies" / f"{name}.yaml").write_text(text)
    (folder / "stages").mkdir()
    (folder / "stages" / "turns.py").write_text(TURNS)
    port, admin = free_port(), free_port()
    command = ["-m", "penstock", "up", "--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin}"]
    command += ["--policies", str(folder / "policies"), "--state", str(folder / "state")]
    command += ["--stage-dir", str(folder / "stages")]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        while not (line := await process.stdout.readline()).startswith(b"Penstock is ready"):
            assert line, f"the gateway with {stage} did not start"
        yield Arm(stage, f"http://127.0.0.1:{port}/v1/chat/completions")
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def connection(arm: Arm, session: aiohttp.ClientSession, began: float, until: float) -> None:
    """Ask one request after the other."""
    for number in itertools.count():
        asked = time.perf_counter()
        if asked >= until:
            return
        body = {"model": "auto", "messages": [{"role": "user", "content": f"Number {number}."}]}
        async with session.post(arm.url, json={**body, "stream": number % 2 == 0}) as answer:
            await answer.read()
            arm.failed += answer.status != 200
            by = answer.headers.get("x-dac-upstream", "nobody")
        arm.answers.append((asked - began, by, time.perf_counter() - asked))


async def run(arms: Sequence[Arm], west: Running, chosen: argparse.Namespace) -> None:
    """Let traffic flow through all arms while the upstream slows down and recovers."""
    began = time.perf_counter()
    until = began + chosen.calm + chosen.slow + chosen.after
    usual = west.settings
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session, asyncio.TaskGroup() as group:
        for arm in arms:
            for _ in range(CONNECTIONS):
                group.create_task(connection(arm, session, began, until))
        await asyncio.sleep(chosen.calm)
        west.settings = replace(usual, first_ms=usual.first_ms * chosen.slower)
        await asyncio.sleep(chosen.slow)
        west.settings = usual


def first(shares: Sequence[float], begin: int, below: float | None = None, above: float | None = None) -> str:
    """Say in which second from `begin` on the share passed a bound; the first second is 1."""
    for second, share in enumerate(shares[begin:], 1):
        if (below is not None and share < below) or (above is not None and share > above):
            return f"{second} s"
    return "never"


def report(arms: Sequence[Arm], chosen: argparse.Namespace) -> None:
    """Print shares over time and the figures."""
    slow, back = chosen.calm, chosen.calm + chosen.slow
    end = back + chosen.after
    print(f"west's share of the requests in each second, in %; slow from {slow} s to {back} s")
    for arm in arms:
        shares = arm.shares(end)
        for begin in range(0, end, 10):
            row = " ".join(f"{share * 100:3.0f}" for share in shares[begin : begin + 10])
            print(f"{arm.name if begin == 0 else '':<9}{begin:>4} s  {row}")
    print(f"\n{'':<9}{'requests':>9}{'failed':>8}{'p95 calm':>10}{'p95 slow':>10}{'p95 after':>11}", end="")
    print(f"{'<10 % in':>10}{'>30 % in':>10}")
    for arm in arms:
        shares = arm.shares(end)
        spans = ((0, slow), (slow, back), (back, end))
        p95 = [f"{arm.p95(*span) * 1000:.0f} ms" for span in spans]
        print(
            f"{arm.name:<9}{len(arm.answers):>9}{arm.failed:>8}{p95[0]:>10}{p95[1]:>10}{p95[2]:>11}", end=""
        )
        print(f"{first(shares, slow, below=0.1):>10}{first(shares, back, above=0.3):>10}")
    ratio = arms[0].p95(slow, back) / arms[1].p95(slow, back)
    print(f"\np95 over the incident: {ratio:.2f} of taking turns; the goal is at most 0.80")


async def main() -> None:
    """Run both arms and report."""
    chosen = options()
    settings = Settings(first_ms=chosen.first_ms)
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slow-upstream-")))
        east, west = await serve(settings=settings), await serve(settings=settings)
        stack.push_async_callback(east.stop)
        stack.push_async_callback(west.stop)
        arms = [
            await stack.enter_async_context(gateway(folder / stage, stage, east, west))
            for stage in ("routing", "turns")
        ]
        await run(arms, west, chosen)
    report(arms, chosen)


if __name__ == "__main__":
    asyncio.run(main())
