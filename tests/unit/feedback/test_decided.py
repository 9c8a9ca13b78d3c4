"""Decisions are found by their own tenant only, in every process, until their time is over."""

import pytest
from feedback_bits import KEYRING, decided

from penstock import testing
from penstock.errors import StoreUnavailable
from penstock.feedback.decided import Notebook
from penstock.stores.keyring import Keyring
from penstock.stores.protocol import Entry


class House:
    def __init__(self):
        self.clock = testing.FrozenClock()
        self.store = testing.MemoryStore(self.clock)

    def notebook(self, keyring=KEYRING):
        return Notebook(self.store, keyring, self.clock)


@pytest.fixture
def house():
    return House()


FULL = decided(
    models=["small", "large"],
    intent="maths",
    latency_s=1.5,
    cost_usd=0.25,
    arms=[("e", "d1", "treatment", 7)],
)


async def test_it_is_found_at_once_and_by_others_after_the_batch(house):
    here, there = house.notebook(), house.notebook()
    here.put("req_1", FULL, 60)
    assert await here.find("acme", "req_1") == FULL
    assert await there.find("acme", "req_1") is None
    await here.flush()
    assert await here.find("acme", "req_1") == FULL
    assert await there.find("acme", "req_1") == FULL


async def test_another_tenant_finds_nothing(house):
    notebook = house.notebook()
    notebook.put("req_1", FULL, 60)
    assert await notebook.find("globex", "req_1") is None
    await notebook.flush()
    assert await notebook.find("globex", "req_1") is None


async def test_its_time_ends(house):
    notebook = house.notebook()
    notebook.put("req_1", FULL, 60)
    await notebook.flush()
    house.clock.advance(61)
    assert await notebook.find("acme", "req_1") is None


@pytest.mark.parametrize("way", ["moved to a tenant", "moved to an id", "another keyring", "nonsense"])
async def test_what_was_not_sealed_for_its_place_is_nobodys(house, way):
    await house.notebook().replace("req_1", FULL, 60)
    (entry,) = house.store.entries.values()
    tenant, request_id, value = "acme", "req_1", entry.value
    if way == "moved to a tenant":
        tenant = "globex"
    elif way == "moved to an id":
        request_id = "req_2"
    elif way == "nonsense":
        value = KEYRING.seal("decided:acme", b"\xc1", b"req_1")
    await house.store.put([Entry(f"decided:{tenant}", request_id, value, 2e9)], limit_bytes=1)
    keyring = Keyring(b"x" * 32) if way == "another keyring" else KEYRING
    assert await house.notebook(keyring).find(tenant, request_id) is None


async def test_nothing_stands_in_the_store_in_the_clear(house):
    await house.notebook().replace("req_1", FULL, 60)
    (entry,) = house.store.entries.values()
    assert not any(word in entry.value for word in (b"small", b"maths", b"digest", b"acme"))


async def test_a_store_that_is_gone_loses_nothing(house):
    notebook = house.notebook()
    notebook.put("req_1", FULL, 60)
    house.store.gone = True
    with pytest.raises(StoreUnavailable):
        await notebook.flush()
    assert await notebook.find("acme", "req_1") == FULL
    with pytest.raises(StoreUnavailable):
        await notebook.find("acme", "req_2")
    house.store.gone = False
    await notebook.flush()
    assert await house.notebook().find("acme", "req_1") == FULL


async def test_what_waits_is_bounded(house):
    notebook = house.notebook()
    for number in range(10_050):
        notebook.put(f"req_{number}", FULL, 60)
    assert await notebook.find("acme", "req_0") is None
    assert await notebook.find("acme", "req_10049") == FULL


async def test_a_replaced_decision_is_not_overwritten_by_the_batch(house):
    notebook = house.notebook()
    notebook.put("req_1", FULL, 60)
    await notebook.replace("req_1", decided(rated=True), 60)
    await notebook.flush()
    assert (await house.notebook().find("acme", "req_1")).rated


async def test_an_empty_batch_asks_nobody(house):
    house.store.gone = True
    await house.notebook().flush()
