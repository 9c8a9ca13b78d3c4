"""Everything the benchmark starts, and what the kernel knows about it. Linux only."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
ON_PROXY_CORE: Final = ("taskset", "-c", "0")
ON_LOAD_CORE: Final = ("taskset", "-c", "1")
_START_S: Final = 30.0
_STOP_S: Final = 20.0


class BenchmarkError(Exception):
    """Something that makes figures impossible; its text says what."""


def build(name: str, folder: Path) -> Path:
    """Compile one of the C programs beside this file."""
    program = folder / name
    command = ["gcc", "-O2", "-Wall", "-Wextra", "-o", str(program), str(HERE / f"{name}.c")]
    try:
        subprocess.run(command, check=True)
    except (OSError, subprocess.CalledProcessError) as problem:
        raise BenchmarkError(f"{name}.c could not be built with gcc: {problem}") from None
    return program


def free_port() -> int:
    """Find a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Upstream:
    """The C upstream, and what it has counted."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def counts(self) -> tuple[int, int]:
        """Give the connections that carried requests, and the requests."""
        self._connection.request("GET", "/counts")
        counted = json.loads(self._connection.getresponse().read())
        return counted["accepts"], counted["requests"]


@contextlib.contextmanager
def upstream(program: Path) -> Iterator[Upstream]:
    """Run the upstream on the load's core."""
    command = [*ON_LOAD_CORE, str(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Upstream(int(process.stdout.readline()))
        finally:
            process.terminate()


@dataclass(frozen=True, slots=True)
class Target:
    """Who answers the load; `pid` is None where no proxy is in between."""

    name: str
    port: int
    pid: int | None = None
    command: str = ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to start a proxy in front of the upstream."""

    name: str
    words: Sequence[str]
    port: int
    environment: Mapping[str, str]


def mitmdump(name: str, upstream_port: int, folder: Path, *words: str) -> Recipe:
    """Bare mitmdump with its defaults; only its certificates go elsewhere."""
    port = free_port()
    command = (
        str(Path(sys.executable).parent / "mitmdump"),
        "--mode",
        f"reverse:http://127.0.0.1:{upstream_port}@127.0.0.1:{port}",
        "--set",
        f"confdir={folder / 'mitmproxy'}",
        *words,
    )
    return Recipe(name, command, port, os.environ)


def penstock(name: str, upstream_port: int, folder: Path) -> Recipe:
    """The gateway as shipped: its own policies, an embedded store of its own, the default log level."""
    port = free_port()
    command = (
        *(sys.executable, "-m", "penstock", "up"),
        *("--upstream", f"http://127.0.0.1:{upstream_port}/v1"),
        *("--listen", f"127.0.0.1:{port}"),
        *("--admin", f"127.0.0.1:{free_port()}"),
        *("--state", str(folder / name)),
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
    return Recipe(name, command, port, kept)


@contextlib.contextmanager
def running(recipe: Recipe, folder: Path) -> Iterator[Target]:
    """Run a proxy on the proxy's core, with its output in a file."""
    output = folder / f"{recipe.name}.log"
    with output.open("wb") as log:
        process = subprocess.Popen(
            [*ON_PROXY_CORE, *recipe.words], stdout=log, stderr=log, env=dict(recipe.environment)
        )
    try:
        _wait_for(recipe, process, output)
        yield Target(recipe.name, recipe.port, process.pid, _shown(recipe, folder))
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(recipe: Recipe, process: subprocess.Popen[bytes], output: Path) -> None:
    deadline = time.perf_counter() + _START_S
    while time.perf_counter() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", recipe.port), 1):
            return
        time.sleep(0.1)
    raise BenchmarkError(f"{recipe.name} did not start:\n{output.read_text(errors='replace')[-2000:]}")


def _shown(recipe: Recipe, folder: Path) -> str:
    """Write the command without the paths of this machine."""
    first, *rest = recipe.words
    words = [Path(first).name, *(word.replace(str(folder), "TMP") for word in rest)]
    return " ".join([*ON_PROXY_CORE, *words])


def family(pid: int) -> list[int]:
    """Give the process and all that it started, directly or not."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for children in Path(f"/proc/{parent}/task").glob("*/children"):
                found += map(int, children.read_text().split())
    return found


def cpu_s(pid: int) -> float:
    """Give the CPU time of the process with all its threads, also those that have ended, and its children."""
    return sum(_clock_s(member) for member in family(pid))


def _clock_s(pid: int) -> float:
    # clock_getcpuclockid(3): the kernel's number for the CPU clock of another process (2 is CPUCLOCK_SCHED).
    with contextlib.suppress(OSError):
        return time.clock_gettime((~pid << 3) | 2)
    return 0.0


def rss_mb(pid: int) -> float:
    """Give the resident memory of this process alone, in MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise BenchmarkError(f"process {pid} is gone")
