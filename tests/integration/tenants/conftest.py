"""What these tests share: an upstream that knows one key, and two gateways on one store, with tenants."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from gateway_process import Gateway
from tests.integration.house.house_parts import SHIPPED, RedisProcess, SampleThread, needs

from penstock.sample import Settings

PROVIDER_KEY = "sk-provider-7f3a9c2e5b8d1046"
TENANTS = """\
tenants:
  acme: {projects: {search: {}}, users: {ada: {models: [gpt-4o-mini]}}}
  strict: {models: [gpt-4o, gpt-4o-mini]}
"""


def write_policies(folder: Path, upstream: str, **files: str) -> Path:
    """Write the shipped policies but for tenants, the upstream's key, and the files given by name."""
    shutil.copytree(SHIPPED, folder, ignore=shutil.ignore_patterns("*_test.yaml"))
    upstreams = f"default: one\nupstreams:\n  one: {{url: '{upstream}', auth: {{key: env:PROVIDER_KEY}}}}\n"
    for name, text in {"tenants": TENANTS, "upstreams": upstreams, **files}.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return folder


@dataclass
class House:
    """Two gateways on one store, as on two machines: each has a state folder, both have one keyring."""

    folder: Path
    store: str
    upstream: str
    policies: Path
    gateways: list[Gateway] = field(default_factory=list)
    made: list[str] = field(default_factory=list)

    def keys(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `penstock keys` on the first machine."""
        command = [sys.executable, "-m", "penstock", "keys", *words, "--policies", str(self.policies)]
        command += ["--state", str(self.folder / "state-0"), "--store", self.store]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=40)
        if words[0] in ("create", "rotate") and done.returncode == 0:
            self.made.append(done.stdout.strip())
        return done

    def create(self, tenant: str, *words: str) -> str:
        """Make a key with `penstock keys create`."""
        done = self.keys("create", "--tenant", tenant, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def add_gateway(self) -> Gateway:
        """Start one more machine; it gets the first one's keyring."""
        state = self.folder / f"state-{len(self.gateways)}"
        if self.gateways:
            state.mkdir(mode=0o700)
            shutil.copy2(self.folder / "state-0" / "keyring.key", state)
        gateway = Gateway(
            state,
            self.upstream,
            self.policies,
            options=["--store", self.store],
            env={"PROVIDER_KEY": PROVIDER_KEY, "PENSTOCK_LOG_LEVEL": "DEBUG"},
        )
        self.gateways.append(gateway)
        return gateway.start()

    def stop(self) -> None:
        """End all gateways."""
        for gateway in self.gateways:
            gateway.stop()


@pytest.fixture(scope="module")
def sample() -> Iterator[SampleThread]:
    """An upstream that refuses every key but the provider's."""
    thread = SampleThread(Settings(key=PROVIDER_KEY))
    yield thread
    thread.stop()


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    """A Redis that this module may kill."""
    needs("redis-server")
    server = RedisProcess(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.stop()
