"""A gateway as users run it: `penstock up` in a process of its own, on loopback and free ports."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

READY = "Penstock is ready"
_START_S = 40.0
_STOP_S = 15.0


def free_port() -> int:
    """Give a port that nobody listens on.

    It lies below the ports that systems hand out for outgoing connections, so that none of those can
    take it between this call and its use.
    """
    for _ in range(1000):
        port = random.randint(15_000, 32_000)  # noqa: S311
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise RuntimeError("no free port between 15000 and 32000")


@dataclass
class Gateway:
    """One `penstock up`. `log` holds its JSON log lines as they come, `out` what it printed."""

    state: Path
    upstream: str
    policies: Path | None = None
    options: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    admin_port: int = field(default_factory=free_port)
    out: list[str] = field(default_factory=list)
    log: list[dict[str, Any]] = field(default_factory=list)
    noise: list[str] = field(default_factory=list)
    _process: subprocess.Popen[str] | None = None
    _readers: list[threading.Thread] = field(default_factory=list)

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """The base URL for an SDK."""
        return self.root + "/v1"

    @property
    def admin_url(self) -> str:
        return f"http://127.0.0.1:{self.admin_port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def exchanges(self) -> list[dict[str, Any]]:
        """The log lines of ended exchanges, oldest first."""
        return [line for line in list(self.log) if line.get("logger") == "penstock.exchange"]

    def start(self) -> Self:
        """Start it and wait until it says that it is ready."""
        command = [sys.executable, "-m", "penstock", "up", "--listen", f"127.0.0.1:{self.port}"]
        command += ["--admin", f"127.0.0.1:{self.admin_port}", "--state", str(self.state)]
        command += ["--upstream", self.upstream, *self.options]
        if self.policies is not None:
            command += ["--policies", str(self.policies)]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
        inherited.pop("PYTHONDONTWRITEBYTECODE", None)  # compiling mitmproxy anew takes four seconds
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**inherited, **self.env},
            text=True,
        )
        self._read(self._process.stdout, self.out.append)
        self._read(self._process.stderr, self._take_log)
        self._wait_until_ready()
        return self

    def stop(self) -> int:
        """End it as Ctrl-C does, or by force when that takes too long; give the exit code."""
        if self._process is None:
            return 0
        if self.running:
            self._process.send_signal(signal.SIGINT)
        try:
            code = self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        for reader in self._readers:
            reader.join(_STOP_S)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        return code

    def wait_until(self, come_true: Callable[[], bool], what: str, within_s: float = 10.0) -> None:
        """Wait for something that the process does."""
        deadline = time.monotonic() + within_s  # noqa: TID251 - a test waits in real time
        while not come_true():
            if time.monotonic() > deadline or not self.running:  # noqa: TID251
                raise AssertionError(f"{what} did not come\n{self.told()}")
            time.sleep(0.01)

    def rss_bytes(self) -> int:
        """Give the process's resident memory."""
        told = subprocess.run(
            ["ps", "-o", "rss=", "-p", str(self.pid)], capture_output=True, text=True, check=True
        )
        return int(told.stdout) * 1024

    def told(self) -> str:
        """Give what a failing test wants to read: the output and the last lines of the log."""
        return "\n".join([*self.out[-20:], *map(json.dumps, self.log[-20:]), *self.noise[-20:]])

    def _wait_until_ready(self) -> None:
        try:
            self.wait_until(
                lambda: any(line.startswith(READY) for line in self.out), READY, within_s=_START_S
            )
        except AssertionError:
            self.stop()
            raise

    def _read(self, pipe: IO[str] | None, take: Callable[[str], None]) -> None:
        def read() -> None:
            for line in pipe or ():
                take(line.rstrip("\n"))

        self._readers.append(threading.Thread(target=read, daemon=True))
        self._readers[-1].start()

    def _take_log(self, line: str) -> None:
        try:
            self.log.append(json.loads(line))
        except ValueError:
            self.noise.append(line)
