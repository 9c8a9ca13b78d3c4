"""Real Redis servers for tests: `pytest_plugins = ["redis_fixture"]`.

`redis_server` is one server of the whole run, emptied before each test; `own_redis` is one that the test
may stop, hang, kill and start again. Without a `redis-server` the tests are skipped, but in CI they fail.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis


class RedisServer:
    """A redis-server on a free loopback port, with a folder of its own and a unix socket in it."""

    def __init__(self, binary: str, folder: Path) -> None:
        self._binary = binary
        self.folder = folder
        self.port = _free_port()
        self.socket = folder / "redis.sock"
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        """Start it on the port it always had, and wait until it answers."""
        self._process = subprocess.Popen(
            [
                *(self._binary, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
                *("--unixsocket", str(self.socket), "--save", "", "--appendonly", "no", *options),
            ],
            stdout=subprocess.DEVNULL,
        )
        for _ in range(200):
            with contextlib.suppress(redis.ConnectionError), self.client() as client:
                client.ping()
                return
            time.sleep(0.02)
        raise RuntimeError("redis-server does not start")

    def client(self, **options: object) -> redis.Redis:
        """Give a plain client to look at the server with."""
        return redis.Redis(port=self.port, **options)

    def hang(self) -> None:
        """Let it accept connections and never answer."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """End a hang."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as a crash does: at once, with nothing saved."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def _server() -> Iterator[RedisServer]:
    binary = shutil.which("redis-server")
    if binary is None:
        reason = "NO redis-server ON THIS MACHINE: the Redis store is NOT tested"
        if os.environ.get("CI", "").lower() == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    # Not pytest's own folder: a unix socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = RedisServer(binary, Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.kill()


@pytest.fixture(scope="session")
def _shared_redis() -> Iterator[RedisServer]:
    with _server() as server:
        yield server


@pytest.fixture
def redis_server(_shared_redis: RedisServer) -> RedisServer:
    """The run's server, empty."""
    with _shared_redis.client() as client:
        client.flushall()
        client.script_flush()
    return _shared_redis


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A server that this test may break."""
    with _server() as server:
        yield server
