"""Fixtures of the lease tests: workers on one ledger in memory, and nothing that waits by the real clock."""

import pytest

from penstock.stores.memory import MemoryLedger
from unit.budget.lease_house import Clock, Worker, hurried


@pytest.fixture
def no_waiting():
    with hurried():
        yield


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store():
    return MemoryLedger()


@pytest.fixture
async def worker(store, clock):
    made = Worker(store, clock)
    yield made
    made.network.slow.set()
    await made.close()


@pytest.fixture
async def trusting(store, clock):
    """A worker that needs no answer of the store to spend what it has."""
    made = Worker(store, clock, store_gone="allow_within_lease")
    yield made
    made.network.slow.set()
    await made.close()


@pytest.fixture
async def other(store, clock):
    made = Worker(store, clock)
    yield made
    await made.close()
