"""The parts around the road: an upstream in a thread, a Redis, a plain HTTP client, and patience."""

import asyncio
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import pytest
from gateway_process import Gateway, free_port

from penstock.sample import Running, Settings, serve

REPOSITORY = Path(__file__).parents[3]
SHIPPED = REPOSITORY / "policies"
TOOLS = Path(sys.executable).parent
Json = dict[str, Any]


def chat(text: str = "hello", **fields: Any) -> Json:
    """Give the body of a chat request."""
    return {"model": "m", "messages": [{"role": "user", "content": text}], **fields}


def until(come_true: Callable[[], Any], what: str, within_s: float = 20.0) -> Any:
    """Wait until something has come true, and give it."""
    deadline = time.monotonic() + within_s  # noqa: TID251 - a test waits in real time
    while not (found := come_true()):
        assert time.monotonic() < deadline, f"{what} did not come"  # noqa: TID251
        time.sleep(0.01)
    return found


@dataclass(frozen=True)
class Answer:
    """What came back: status, headers with low names, the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def cache(self) -> str:
        """What the cache said."""
        return self.headers.get("x-dac-cache", "")

    @property
    def code(self) -> str:
        """The error's code."""
        return str(self.json["error"]["code"])


@contextmanager
def opened(
    url: str,
    body: Json | bytes | None = None,
    headers: Mapping[str, str] | None = None,
    *,
    method: str | None = None,
    timeout_s: float = 30,
) -> Iterator[http.client.HTTPResponse]:
    """Send a request on a connection of its own and lend the answer, its body still unread."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    raw = json.dumps(body).encode() if isinstance(body, dict) else body
    told = {"content-type": "application/json", "authorization": "Bearer sk-test", **(headers or {})}
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)
    try:
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method or ("GET" if raw is None else "POST"), target, raw, told)
        yield connection.getresponse()
    finally:
        connection.close()


def ask(
    url: str, body: Json | bytes | None = None, headers: Mapping[str, str] | None = None, **how: Any
) -> Answer:
    """Send a request and read the whole answer."""
    with opened(url, body, headers, **how) as response:
        told = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, told, response.read())


def ask_chat(
    gateway: Gateway, text: str = "hello", headers: Mapping[str, str] | None = None, **fields: Any
) -> Answer:
    """Send a chat request through a gateway."""
    return ask(f"{gateway.base_url}/chat/completions", chat(text, **fields), headers)


class SampleThread:
    """The sample upstream on an event loop of its own, so that plain tests can watch it."""

    def __init__(self, settings: Settings | None = None) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.running: Running = self._call(serve(settings=settings or Settings()))

    def _call(self, job: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(job, self._loop).result(20)

    @property
    def url(self) -> str:
        return self.running.url

    @property
    def calls(self) -> int:
        return self.running.calls

    def bodies(self) -> list[Json]:
        """The JSON bodies it has got, oldest first."""
        return [seen.json for seen in list(self.running.requests) if seen.body]

    def stop(self) -> None:
        self._call(self.running.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


class RedisProcess:
    """A real redis-server that keeps what it has in a folder, so that it can die and come back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        command += ["--appendonly", "yes", "--appendfsync", "always", "--save", ""]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        until(self._answers, "redis-server")
        return self

    def call(self, *words: str) -> bytes:
        """Run one command and give the raw answer."""
        command = ["redis-cli", "-p", str(self.port), "--raw", *words]
        return subprocess.run(command, capture_output=True, check=True, timeout=10).stdout

    def all_keys(self) -> list[str]:
        return [key for key in self.call("KEYS", "*").decode().splitlines() if key]

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)
        if number == signal.SIGKILL:
            self._process.wait(10)

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self.signal(signal.SIGKILL)

    def _answers(self) -> bool:
        told = subprocess.run(["redis-cli", "-p", str(self.port), "ping"], capture_output=True, check=False)
        return told.stdout.strip() == b"PONG"


def needs(program: str) -> str:
    """Give a program's path, or skip the test loudly; with CI=true a missing one is a failure."""
    path = shutil.which(program) or shutil.which(program, path=str(TOOLS))
    if path is None and os.environ.get("CI") == "true":
        pytest.fail(f"{program} is missing, and CI=true says that nothing may be")
    if path is None:
        pytest.skip(f"{program} is missing")
    return path


def listens(port: int) -> bool:
    """Say whether somebody takes connections there."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def children(pid: int) -> list[int]:
    """Give the processes that a process has started."""
    told = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = (line.split() for line in told.splitlines())
    return [int(child) for child, parent in pairs if int(parent) == pid]


def alive(pid: int) -> bool:
    """Say whether a process runs; one that only waits to be reaped does not."""
    told = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return told.stdout.strip()[:1] not in ("", "Z")


def files_with(folder: Path, marker: bytes) -> list[str]:
    """Give the files below a folder that hold these bytes."""
    return [str(path) for path in folder.rglob("*") if path.is_file() and marker in path.read_bytes()]
