"""The parts of the budget tests: an upstream, a Redis, and fleets of gateways; they live for the session."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.integration.house.house_parts import RedisProcess, SampleThread, needs

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode puts no folder there

from budget_house import Fleet, Json, policies, requests, tokens, usd

from penstock.sample import Settings

TENANTS: Json = {
    "storm": {"limits": [tokens(1_300), requests(100_000)]},
    "riot": {"limits": [tokens(1_300), requests(100_000)]},
    "wreck": {"limits": [tokens(1_300), requests(100_000)]},
    "loud": {"limits": [tokens(1_000, "day")]},
}
NewFleet = Callable[..., Fleet]


@pytest.fixture(scope="session")
def upstream() -> Iterator[SampleThread]:
    """An upstream that takes a moment for each word."""
    thread = SampleThread(Settings(first_ms=10, delay_ms=4))
    yield thread
    thread.stop()


@pytest.fixture(scope="session")
def store_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisProcess]:
    """A Redis for the fleets of this session."""
    needs("redis-server")
    server = RedisProcess(tmp_path_factory.mktemp("redis")).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def new_fleet(tmp_path_factory: pytest.TempPathFactory, upstream: SampleThread) -> Iterator[NewFleet]:
    """Start fleets; they end with the session."""
    fleets: list[Fleet] = []

    def start(
        tenants: Json,
        *,
        gateways: int = 1,
        store: str | None = None,
        env: Any = None,
        upstream_url: str | None = None,
        **more: Any,
    ) -> Fleet:
        folder = tmp_path_factory.mktemp("fleet")
        url = store or f"sqlite:///{folder / 'shared.db'}"
        files = policies(tenants, upstream_url or upstream.url, **more)
        fleet = Fleet(folder, url, upstream, files, env or {}, upstream_url)
        fleets.append(fleet)
        asyncio.run(fleet.prepare())
        with ThreadPoolExecutor() as starters:
            list(starters.map(lambda _: fleet.start(), range(gateways)))
        return fleet

    yield start
    with ThreadPoolExecutor() as enders:
        list(enders.map(Fleet.stop, fleets))


STORES = ["sqlite", "redis", "sqlite-leased", "redis-leased"]


@pytest.fixture(scope="module", params=STORES)
def fleet(request: pytest.FixtureRequest, new_fleet: NewFleet) -> Iterator[Fleet]:
    """Two gateways on one store, with leases and without; a test may kill the second."""
    store, _, leased = request.param.partition("-")
    if leased and "LeasedLedger" not in _stage():
        pytest.skip("penstock.budget.lease is not wired into the stage yet")
    url = None
    if store == "redis":
        # Each module and kind has a database of its own; there are sixteen.
        number = 2 * ("crash" in request.node.nodeid) + bool(leased)
        url = request.getfixturevalue("store_redis").url.removesuffix("/0") + f"/{number}"
    fleet = new_fleet(TENANTS, gateways=2, store=url, leases=bool(leased))
    yield fleet
    fleet.stop()


def _stage() -> str:
    root = Path(__file__).parents[3] / "src/penstock"
    return (root / "stages/budget.py").read_text() + (root / "gateway.py").read_text()


@pytest.fixture(scope="session")
def house(new_fleet: NewFleet) -> Fleet:
    """One gateway on SQLite, with a tenant for every question."""
    limits: Json = {
        "exact": [tokens(1_000_000)],
        "streams": [tokens(1_000_000)],
        "shared": [tokens(1_000_000)],
        "cached": [tokens(1_000_000)],
        "faulty": [tokens(1_000_000), requests(1_000_000)],
        "bad": [tokens(100_000), usd(1)],
        "small": [tokens(420)],
        "tiny": [tokens(60)],
        "several": [tokens(100_000), requests(3, "day"), usd(5)],
        "gone": [requests(1)],
        "changing": [tokens(600)],
        "reloaded": [tokens(600)],
        "narrow": [{"unit": "streams", "limit": 1}, tokens(100_000)],
        "slow": [requests(2, "minute")],
        "modelled": [tokens(1_000_000), tokens(500, model="small")],
        "bounded": [tokens(900, "day")],
        "warned": [tokens(1_000, "day")],
        "personal": [tokens(1_000)],
        "free": [],
    }
    tenants: Json = {name: {"limits": listed} for name, listed in limits.items()}
    tenants["vercel"] = {"limits": [requests(1)], "hard_stop": 403}
    tenants["degraded"] = {
        "limits": [tokens(2_000)],
        "degrade": {"from_share": 0.1, "model": "small"},
    }
    tenants["grouped"] = {
        "limits": [tokens(100_000)],
        "projects": {"search": {"limits": [tokens(400)]}},
        "users": {"ada": {"limits": [tokens(400)]}},
    }
    return new_fleet(tenants)
