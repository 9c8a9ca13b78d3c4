"""Four processes of sixteen clients spend one budget with leases, on each store; one of them is killed."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from integration.budget.lease_worker import CLIENTS, FIXED, LASTS_S, TENANT, TOKENS, lines, opened
from penstock.clock import SYSTEM

pytest_plugins = ["redis_fixture"]

PROCESSES = 4
LIMIT = 60_000
STREAMS = 200
SAID_BEFORE_THE_KILL = 400


class Process:
    """A worker, and what it said."""

    def __init__(self, process):
        self._process = process
        self.said = {"ready": [], "try": [], "done": [], "warned": []}
        self.listening = asyncio.ensure_future(self._listen())

    @classmethod
    async def start(cls, url):
        script = Path(__file__).with_name("lease_worker.py")
        command = [sys.executable, str(script), url, str(LIMIT), str(STREAMS)]
        pipe = asyncio.subprocess.PIPE
        return cls(await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe))

    async def _listen(self):
        async for spoken in self._process.stdout:
            what, _, amount = spoken.decode().partition(" ")
            if spoken.endswith(b"\n"):
                self.said[what].append(int(amount))

    async def has_said(self, what, many=1):
        while len(self.said[what]) < many:
            assert not self.listening.done(), "it ended before it could be killed"
            await asyncio.sleep(0.001)

    def go(self):
        self._process.stdin.write(b"go\n")

    async def killed_after(self, many):
        await self.has_said("done", many)
        self._process.send_signal(signal.SIGKILL)
        await self.ended()

    async def ended(self):
        await self.listening
        return await self._process.wait()

    def total(self, what):
        return sum(self.said[what])


@pytest.fixture(params=["sqlite", "redis"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return str(tmp_path / "ledger.db")
    return request.getfixturevalue("redis_server").url


async def watch(ledger, accounts):
    """Look again and again; nothing is ever above its limit."""
    while True:
        tokens, streams = await ledger.read(TENANT, accounts, now=SYSTEM.now())
        assert tokens.used + tokens.reserved <= LIMIT
        assert streams.used == 0
        assert streams.reserved <= STREAMS
        await asyncio.sleep(0.02)


@pytest.mark.timeout(120)
async def test_no_process_spends_what_another_has_and_a_killed_one_leaves_charges(url):
    ledger = await opened(url)
    accounts = [line.account for line in lines(LIMIT, STREAMS)]
    await ledger.read(TENANT, accounts, now=SYSTEM.now())
    watching = asyncio.ensure_future(watch(ledger, accounts))
    victim, *others = workers = [await Process.start(url) for _ in range(PROCESSES)]
    for worker in workers:
        await worker.has_said("ready")
    for worker in workers:
        worker.go()
    await victim.killed_after(SAID_BEFORE_THE_KILL)
    assert [await other.ended() for other in others] == [0] * len(others)
    assert not watching.done() or watching.result()
    watching.cancel()

    later = SYSTEM.now() + LASTS_S + 1
    tokens, streams = await ledger.read(TENANT, accounts, now=later)
    assert (tokens.reserved, streams.reserved, streams.used) == (0, 0, 0)
    assert await ledger.held(TENANT, now=later) == 0
    await ledger.close()

    settled = sum(other.total("done") for other in others)
    assert settled == sum(other.total("try") for other in others)
    under_way = CLIENTS * (FIXED + TOKENS)
    assert settled <= tokens.used - tokens.expired <= settled + victim.total("done") + under_way
    assert settled + victim.total("done") <= tokens.used <= LIMIT
    assert tokens.expired > 0
    assert tokens.used >= LIMIT * 0.98
    assert sum(len(process.said["warned"]) for process in workers) == 1
