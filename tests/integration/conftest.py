"""Gateways for all integration tests: one per policy set and session, all in front of one port."""

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode puts no folder there

from gateway_process import Gateway, free_port

SHIPPED = Path(__file__).parents[2] / "policies"
StartGateway = Callable[..., Gateway]


@pytest.fixture(scope="session")
def upstream_port() -> int:
    """The port at which every gateway of this session expects its upstream."""
    return free_port()


@pytest.fixture(scope="session")
def start_gateway(tmp_path_factory: pytest.TempPathFactory, upstream_port: int) -> Iterator[StartGateway]:
    """Start gateways with the shipped policies but for the files given by name; they end with the session."""
    started: list[Gateway] = []

    def start(name: str, **files: str) -> Gateway:
        folder = tmp_path_factory.mktemp(name)
        policies = folder / "policies"
        shutil.copytree(SHIPPED, policies, ignore=shutil.ignore_patterns("*_test.yaml"))
        for file, text in files.items():
            (policies / f"{file}.yaml").write_text(text, encoding="utf-8")
        gateway = Gateway(folder / "state", f"http://127.0.0.1:{upstream_port}/v1", policies)
        started.append(gateway)
        return gateway.start()

    yield start
    for gateway in started:
        gateway.stop()


@pytest.fixture(scope="session")
def gateway(start_gateway: StartGateway) -> Gateway:
    """The gateway as it is shipped."""
    return start_gateway("shipped")
