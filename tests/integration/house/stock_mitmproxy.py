"""Stock mitmdump and mitmweb with our scripts, as a developer starts them."""

import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Self

from gateway_process import free_port
from tests.integration.house.house_parts import REPOSITORY, ask, listens, needs, until


@dataclass
class Stock:
    """One mitmproxy tool with `-s addons/…` in reverse mode. `told` is all that it printed."""

    folder: Path
    upstream: str
    scripts: Sequence[str] = ("chain",)
    tool: str = "mitmdump"
    options: Sequence[str] = ()
    policies: Path = REPOSITORY / "policies"
    env: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    told: list[str] = field(default_factory=list)
    _process: subprocess.Popen[str] | None = None
    _reader: threading.Thread | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, *, wait: bool = True) -> Self:
        """Start it; wait until the gateway in it is open."""
        root = self.upstream.removesuffix("/v1")
        command = [needs(self.tool), "--mode", f"reverse:{root}@127.0.0.1:{self.port}"]
        for script in self.scripts:
            command += ["-s", str(REPOSITORY / "addons" / f"{script}.py")]
        command += ["--set", f"confdir={self.folder / 'confdir'}", *self.options]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
        ours = {"PENSTOCK_STATE": str(self.state), "PENSTOCK_POLICIES": str(self.policies)}
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**inherited, **ours, **self.env},
        )
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()
        if wait:
            until(self._open, f"{self.tool}", within_s=40)
        return self

    def stop(self) -> int:
        """End it as Ctrl-C does, and give the exit code."""
        assert self._process is not None
        if self.running:
            self._process.send_signal(signal.SIGINT)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end, and give the exit code."""
        assert self._process is not None
        assert self._reader is not None
        try:
            code = self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise
        self._reader.join(10)
        if self._process.stdout is not None:
            self._process.stdout.close()
        return code

    def _read(self, pipe: IO[str]) -> None:
        for line in pipe:
            self.told.append(line.rstrip("\n"))

    def _open(self) -> bool:
        assert self.running, "\n".join(self.told)
        return listens(self.port) and ask(f"http://127.0.0.1:{self.port}/healthz").status == 200
