"""Two gateways on one store, with an arm that sends its requests to an upstream that always fails."""

import asyncio
import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # importlib mode puts no folder there

from gateway_process import Gateway
from tests.integration.house.house_parts import SHIPPED, SampleThread

from penstock.stores.keyring import Keyring
from penstock.stores.open import open_ledger
from penstock.tenants.book import KeyBook

ORDER = "order: [identify, ephemeral, feedback, experiment, cache, budget, routing, upstream]\n"
ARMS = {"control": {}, "treatment": {"set": {"upstreams": {"default": "broken"}}}}
EXPERIMENTS = {
    "doomed": {"arms": ARMS, "guardrails": {"error": {"worse_by": 0.1}}, "min_sample": 30},
    "counted": {"arms": {"control": {}, "treatment": {}}, "unit": "user", "metric": "quality"},
}
MODEL = {"input_usd_per_million": 1.0, "output_usd_per_million": 4.0, "context_tokens": 8000}


@dataclass
class Pair:
    """Two gateways that share a store and a keyring, and the keys of two tenants."""

    first: Gateway
    second: Gateway
    policies: Path
    keys: dict[str, str]

    def headers(self, tenant: str = "acme", **more: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.keys[tenant]}", **more}

    @property
    def options(self) -> list[str]:
        """What the command line needs to look at the same store."""
        return ["--policies", str(self.policies), "--state", str(self.first.state)]


@pytest.fixture(scope="module")
def sample() -> Iterator[SampleThread]:
    """An upstream that this module has to itself."""
    thread = SampleThread()
    yield thread
    thread.stop()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory, sample: SampleThread) -> Iterator[Pair]:
    """Start both; they end with the module."""
    folder = tmp_path_factory.mktemp("experiment")
    policies = _policies(folder, sample)
    state = folder / "state"
    state.mkdir(mode=0o700)
    keys = asyncio.run(_keys(state))
    gateways = [Gateway(state, sample.url, policies).start() for _ in range(2)]
    yield Pair(*gateways, policies, keys)
    for gateway in gateways:
        gateway.stop()


def _policies(folder: Path, sample: SampleThread) -> Path:
    policies = folder / "policies"
    shutil.copytree(SHIPPED, policies, ignore=shutil.ignore_patterns("*_test.yaml"))
    none = {"auth": {"style": "none"}}
    upstreams = {
        "good": {"url": sample.url, **none},
        "broken": {"url": sample.running.fault_url("500"), **none},
    }
    files: dict[str, Any] = {
        "upstreams": {"default": "good", "upstreams": upstreams},
        "experiment": {"experiments": EXPERIMENTS},
        "tenants": {"tenants": {"acme": {}, "globex": {}}},
        "models": {"models": {"*": MODEL}},
    }
    for name, content in files.items():
        (policies / f"{name}.yaml").write_text(json.dumps(content))
    (policies / "chain.yaml").write_text(ORDER)
    return policies


async def _keys(state: Path) -> dict[str, str]:
    ledger, records = await open_ledger(f"sqlite:///{state / 'penstock.db'}")
    book = KeyBook(records, Keyring.in_folder(state))
    keys = {tenant: (await book.create(tenant)).value for tenant in ("acme", "globex")}
    await ledger.close()
    await records.close()
    return keys
