"""The trail with real processes: several writers, killed at any moment; a disk that is full; the verb."""

import asyncio
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from penstock.audit.trail import Pace, Trail
from penstock.audit.verify import verify
from penstock.clock import SYSTEM
from penstock.stores.keyring import Keyring

KEYS = Keyring(bytes(32))
WRITER = Path(__file__).with_name("audit_writer.py")


class Writer:
    """A process that writes; `durable` is what it has promised."""

    def __init__(self, folder, name, *limit):
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, str(WRITER), str(folder), name, *map(str, limit)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.durable = 0

    def read_until(self, word):
        for line in self._process.stdout:
            if line.startswith("durable "):
                self.durable = int(line.split()[1])
            if line.startswith(word):
                return line
        raise AssertionError(self._process.stderr.read())

    def let_go_of_the_limit(self):
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def stop(self):
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self):
        self._process.send_signal(signal.SIGCONT)

    def kill(self):
        self._process.kill()
        for line in self._process.stdout:
            if line.startswith("durable "):
                self.durable = int(line.split()[1])
        errors = self._process.stderr.read()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            pipe.close()
        assert "Traceback" not in errors


@pytest.fixture
def start(tmp_path):
    with contextlib.ExitStack() as running:

        def start(name, *limit):
            writer = Writer(tmp_path / "audit", name, *limit)
            running.callback(writer._process.kill)
            return writer

        yield start


def written(folder):
    """Count each writer's records, in their order; a torn piece is no record."""
    starts: dict[str, list[int]] = {}
    for path in sorted(folder.glob("audit-*")):
        for raw in path.read_bytes().split(b"\n")[:-1]:
            record = json.loads(raw)["record"]
            if record["kind"] == "redaction":
                starts.setdefault(record["tenant"], []).append(record["start"])
    return starts


def assert_kept(folder, writer):
    """What was promised is there, once and in order."""
    starts = written(folder)[writer.name]
    assert starts == list(range(len(starts)))
    assert len(starts) >= writer.durable > 0


def test_several_gateways_write_one_chain(start, tmp_path):
    writers = [start(f"w{number}") for number in range(3)]
    for _ in range(10):
        for writer in writers:
            writer.read_until("durable")
    for writer in writers:
        writer.kill()
        assert_kept(tmp_path / "audit", writer)
    verdict = verify(tmp_path / "audit", KEYS)
    assert verdict.broken is None or "a crash" in verdict.broken.reason
    assert verdict.files > 1


@pytest.mark.parametrize("rounds", [6, pytest.param(60, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
def test_gateways_that_are_killed_lose_nothing_they_promised(start, tmp_path, rounds):
    chance, folder = random.Random(rounds), tmp_path / "audit"  # noqa: S311
    steady = start("steady")
    for number in range(rounds):
        victim = start(f"victim{number}")
        victim.read_until("durable")
        time.sleep(chance.random() * 0.1)
        victim.kill()
        assert_kept(folder, victim)
    steady.read_until("durable")
    steady.kill()
    assert_kept(folder, steady)
    asyncio.run(open_and_close(folder))
    verdict = verify(folder, KEYS)
    assert (verdict.broken, verdict.after_head) == (None, 0), "whoever goes on owns up to all of it"
    assert verdict.lines > sum(len(starts) for starts in written(folder).values())


async def open_and_close(folder):
    await Trail.open(folder, KEYS, SYSTEM).close()


def test_a_full_disk_refuses_and_is_recovered_from(start, tmp_path):
    folder = tmp_path / "audit"
    writer = start("w", 20_000)
    assert "File too large" in writer.read_until("refused")
    promised = writer.durable
    assert verify(folder, KEYS).broken is None, "what could not be written whole was taken back"
    assert max(path.stat().st_size for path in folder.glob("audit-*")) <= 20_000
    writer.let_go_of_the_limit()
    writer.read_until("recovered")
    writer.read_until("durable")
    assert writer.durable > promised
    writer.kill()
    assert_kept(folder, writer)


def test_a_stopped_gateway_that_is_killed_lets_others_go_on(start, tmp_path):
    one, other = start("one"), start("other")
    one.read_until("durable")
    other.read_until("durable")
    one.stop()
    one.kill()
    other.read_until("durable")
    other.kill()
    assert_kept(tmp_path / "audit", one)
    assert_kept(tmp_path / "audit", other)


def penstock(*words, state):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    command = [sys.executable, "-m", "penstock", "audit", *words, "--state", str(state)]
    return subprocess.run(command, capture_output=True, text=True, timeout=50, env=environment, check=False)


def test_the_verb_reads_while_gateways_write(start, tmp_path):
    key = tmp_path / "keyring.key"
    key.write_bytes(bytes(32))
    key.chmod(0o600)
    writer = start("w")
    for _ in range(3):
        writer.read_until("durable")
        told = penstock("verify", state=tmp_path)
        assert (told.returncode, told.stderr) == (0, "")
    assert penstock("show", "--tenant", "w", state=tmp_path).returncode == 0
    export = tmp_path / "export.jsonl"
    export.write_text(penstock("export", state=tmp_path).stdout)
    writer.kill()
    assert penstock("verify", str(export), state=tmp_path).returncode == 0


def test_an_erasure_from_outside_reaches_a_running_gateway(start, tmp_path):
    """The verb drops the key while a trail of this process has it in memory."""
    key = tmp_path / "keyring.key"
    key.write_bytes(bytes(32))
    key.chmod(0o600)

    async def scenario():
        trail = Trail.open(tmp_path / "audit", KEYS, SYSTEM, pace=Pace(write_s=0.01))
        before = (await trail.tenant_mac("acme"))(b"value")
        told = await asyncio.to_thread(penstock, "erase", "--tenant", "acme", state=tmp_path)
        assert told.returncode == 0
        async with asyncio.timeout(30):
            while (await trail.tenant_mac("acme"))(b"value") == before:
                await trail.flush()
        await trail.close()

    asyncio.run(scenario())
    assert verify(tmp_path / "audit", KEYS).broken is None
