"""What the leak proof shares: two upstreams, the policies of a gateway that redacts, and that gateway."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gateway_process import Gateway
from tests.integration.house.echo_upstream import ERRORS, EchoUpstream
from tests.integration.house.house_parts import SHIPPED, RedisProcess, SampleThread, needs
from tests.integration.redaction.canary_requests import MOST_BYTES

POLICIES = {
    "chain": f"order: [identify, ephemeral, redaction, cache, upstream]\nmax_request_bytes: {MOST_BYTES}\n",
    "redaction": "actions: {PERSON: allow, MAC: block}\n",
}


@pytest.fixture(scope="module")
def proof_sample() -> Iterator[SampleThread]:
    """The sample upstream, this module's own."""
    thread = SampleThread()
    yield thread
    thread.stop()


@pytest.fixture(scope="module")
def proof_policies(
    tmp_path_factory: pytest.TempPathFactory, proof_sample: SampleThread
) -> Iterator[Callable[..., Path]]:
    """Make folders of policies for both upstreams: the sample, and one that quotes in its errors."""
    echo = EchoUpstream()
    quoting = ", ".join(f"{name}: {name}" for name in ERRORS)
    upstreams = (
        f"default: good\nupstreams:\n  good: {{url: '{proof_sample.url}'}}\n"
        f"  echo: {{url: '{echo.url}', models: {{{quoting}}}}}\n"
    )

    def make(**files: str) -> Path:
        folder = tmp_path_factory.mktemp("proof") / "policies"
        shutil.copytree(SHIPPED, folder, ignore=shutil.ignore_patterns("*_test.yaml"))
        for name, text in {"upstreams": upstreams, **POLICIES, **files}.items():
            (folder / f"{name}.yaml").write_text(text)
        return folder

    yield make
    echo.stop()


@pytest.fixture(scope="module")
def proof_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    """A Redis that writes everything down as it is."""
    needs("redis-server")
    server = RedisProcess(tmp_path_factory.mktemp("proof-redis")).start()
    server.call("CONFIG", "SET", "rdbcompression", "no")
    yield server
    server.stop()


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def proof_gateway(
    request: pytest.FixtureRequest, proof_policies: Callable[..., Path], proof_sample: SampleThread
) -> Iterator[Gateway]:
    """A gateway at DEBUG that redacts, on each store."""
    policies = proof_policies()
    options = []
    if request.param == "redis":
        options = ["--store", request.getfixturevalue("proof_redis").url]
    level = {"PENSTOCK_LOG_LEVEL": "DEBUG"}
    made = Gateway(policies.parent / "state", proof_sample.url, policies, options, env=level).start()
    yield made
    made.stop()
