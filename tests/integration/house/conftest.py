"""What the tests of the house share: an upstream, gateways with policies of their own, a Redis."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_process import Gateway
from tests.integration.house.house_parts import SHIPPED, RedisProcess, SampleThread, listens, needs, until

NewGateway = Callable[..., Gateway]


@pytest.fixture(scope="module")
def sample() -> Iterator[SampleThread]:
    """An upstream that this module has to itself."""
    thread = SampleThread()
    yield thread
    thread.stop()


@pytest.fixture(scope="module")
def new_gateway(tmp_path_factory: pytest.TempPathFactory, sample: SampleThread) -> Iterator[NewGateway]:
    """Start gateways; the policies given by name replace the shipped files. They end with the module."""
    started: list[Gateway] = []

    def start(*, state: Path | None = None, upstream: str | None = None, **given: Any) -> Gateway:
        folder = tmp_path_factory.mktemp("house")
        files = given.pop("files", {})
        policies = given.pop("policies", None) or folder / "policies"
        if not policies.exists():
            shutil.copytree(SHIPPED, policies, ignore=shutil.ignore_patterns("*_test.yaml"))
        for name, text in files.items():
            (policies / f"{name}.yaml").write_text(text, encoding="utf-8")
        url = sample.url if upstream is None else upstream
        made = Gateway(state or folder / "state", url, policies, **given)
        started.append(made)
        made.start()
        until(lambda: listens(made.admin_port), "the admin process")
        return made

    yield start
    for gateway in started:
        gateway.stop()


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    """A Redis that this module may kill."""
    needs("redis-server")
    server = RedisProcess(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.stop()
