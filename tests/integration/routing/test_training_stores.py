"""What was learned outlives whoever learned it: real stores, a trainer that is killed, and its heir."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from penstock.clock import SYSTEM
from penstock.jobs.shelf import INDEX, forget
from penstock.jobs.train_router import TrainRouter
from penstock.jobs.turn import Turn
from penstock.routing.features import prompt_features
from penstock.routing.feedback import Served
from penstock.routing.outcomes import TABLE, Learned, Outcome, Outcomes
from penstock.routing.policy import RoutingPolicy
from penstock.routing.versions import Versions
from penstock.stores.keyring import Keyring
from penstock.stores.open import open_ledger
from penstock.testing import FrozenClock

sys.path.insert(0, str(Path(__file__).parents[2]))  # for redis_fixture; importlib mode puts no folder there

pytest_plugins = ["redis_fixture"]

KEYRING = Keyring(bytes(32))
PLACE = "acme", "auto"
POLICY = """
{"aliases": {"auto": {"candidates": [{"model": "tiny"}, {"model": "big"}]}},
 "learn": {"every_s": 1, "least_outcomes": LEAST}}
"""
TRAINER = f"""
import asyncio, sys
from penstock.clock import SYSTEM
from penstock.jobs.train_router import TrainRouter
from penstock.jobs.turn import Turn
from penstock.routing.policy import RoutingPolicy
from penstock.routing.versions import Versions
from penstock.stores.keyring import Keyring
from penstock.stores.open import open_ledger

POLICY = '''{POLICY}'''.replace("LEAST", "100000")

async def main():
    ledger, records = await open_ledger(sys.argv[1])
    policy, keyring = RoutingPolicy.model_validate_json(POLICY), Keyring(bytes(32))
    versions, turn = Versions(records, keyring), Turn(ledger, SYSTEM, "train_router")
    trainer = TrainRouter(records, keyring, versions, turn, SYSTEM, lambda: policy)
    trainer.start()
    print("ready", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.fixture(params=["sqlite", "redis"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'penstock.db'}"
    return request.getfixturevalue("redis_server").url


@contextlib.asynccontextmanager
async def stores(url):
    ledger, records = await open_ledger(url)
    try:
        yield ledger, records
    finally:
        await records.close()
        await ledger.close()


async def send(records, first, count):
    outbox = Outcomes(records, KEYRING)
    for number in range(first, first + count):
        prompt = ("prove theorem {}", "say hello to all of the guests, number {}")[number % 2]
        features = prompt_features(prompt.format(number))
        learned = Learned.of(features, Served.SMALL, 1.0, None).packed()
        outbox.put(Outcome(*PLACE, learned, float(number % 2), 1.0))
    await outbox.stop()


async def until(come_true):
    """Wait for what another process does."""
    async with asyncio.timeout(30):
        while not await come_true():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@pytest.fixture
def trainer_process(url, tmp_path):
    """A trainer in a process of its own, which has begun to look."""
    script = tmp_path / "trainer.py"
    script.write_text(TRAINER)
    process = subprocess.Popen([sys.executable, str(script), url], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def heir(ledger, records, least=100):
    """Give the trainer of another process, on a clock at which the first one's turn has ended."""
    clock = FrozenClock(SYSTEM.now() + 60)
    policy = RoutingPolicy.model_validate_json(POLICY.replace("LEAST", str(least)))
    versions, turn = Versions(records, KEYRING), Turn(ledger, clock, "train_router")
    return TrainRouter(records, KEYRING, versions, turn, clock, lambda: policy), versions, turn


async def test_after_a_kill_another_trainer_knows_all_outcomes_and_each_once(url, trainer_process):
    async with stores(url) as (ledger, records):
        await send(records, 0, 600)

        async def taken():
            return not (await records.read(TABLE))[1]

        await until(taken)
        await send(records, 600, 300)
        os.kill(trainer_process.pid, signal.SIGKILL)  # it may have taken some of these, or none
        trainer_process.wait()
        trainer, versions, turn = heir(ledger, records)
        assert await turn.mine()
        await send(records, 900, 1)
        await trainer.look()
        (version,) = versions.history(*PLACE).versions
        assert (version.outcomes, version.upto) == (901, 901)
        assert version.why.startswith("wins by +")
        assert await taken()
        await trainer.stop()


async def test_two_trainers_take_turns_and_go_on_with_each_others_outcomes(url):
    async with stores(url) as (ledger, records), stores(url) as (other_ledger, other_records):
        one, _, turn = heir(ledger, records, least=100_000)
        assert await turn.mine()
        await send(records, 0, 1_300)  # several chunks
        await one.look()
        await one.stop()
        other, versions, turn = heir(other_ledger, other_records)
        assert await turn.mine()
        await send(records, 1_300, 50)
        await other.look()
        assert [each.outcomes for each in versions.history(*PLACE).versions] == [1_350]
        await other.stop()


async def test_a_tenant_that_is_forgotten_leaves_nothing(url):
    async with stores(url) as (ledger, records):
        trainer, _, turn = heir(ledger, records, least=100_000)
        assert await turn.mine()
        await send(records, 0, 300)
        await trainer.look()
        assert list((await records.read(INDEX))[1]) == ["acme/auto"]
        await send(records, 300, 5)
        await forget(records, KEYRING, "acme")
        for table in (INDEX, TABLE):
            assert (await records.read(table))[1] == {}
        await send(records, 305, 120)
        await trainer.look()
        ((_, school),) = trainer._schools.items()
        assert [len(chunk) async for chunk in school.shelf.read()] == [120]
        await trainer.stop()
