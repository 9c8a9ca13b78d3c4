"""What the tests of the trainer share: outcomes that teach something, and processes on the same stores."""

import asyncio

import msgspec
from routing_house import alias, of

from penstock import testing
from penstock.jobs.train_router import TrainRouter
from penstock.jobs.turn import Turn
from penstock.routing.features import prompt_features
from penstock.routing.feedback import Served
from penstock.routing.outcomes import Learned, Outcome, Outcomes
from penstock.routing.policy import RoutingPolicy
from penstock.routing.versions import Versions
from penstock.stores.keyring import Keyring
from penstock.stores.memory import MemoryLedger, MemoryRecords

# What is easy is longer, so that the prior is wrong.
HARD, EASY = "prove deep theorem {}", "say a kind hello to every one of the guests, number {}"
LEARN = {"learn": {"every_s": 1, "least_outcomes": 100}}
PLACE = "acme", "auto"


def learned(prompt, served=Served.SMALL, key=b"", **fields):
    its = Learned.of(prompt_features(prompt), served, 1.0, None)
    return msgspec.structs.replace(its, key=key, **fields).packed()


def outcomes(count, hard=1.0, easy=0.0, first=0, place=PLACE, **fields):
    """Give outcomes of both models: the large one is better by so much where it is hard, or easy."""
    for number in range(first, first + count):
        prompt, gain = ((HARD, hard), (EASY, easy))[number % 2]
        small, large = (0.0, gain) if gain >= 0 else (-gain, 0.0)
        yield Outcome(*place, learned(prompt.format(number)), small, large, **fields)


class Shop:
    """Stores and clock that processes share."""

    def __init__(self, its=None, records=None, **routing):
        self.ledger, self.records = MemoryLedger(), records or MemoryRecords()
        self.clock = testing.FrozenClock()
        self.policy = of(RoutingPolicy, aliases={"auto": its or alias()}, **{**LEARN, **routing})
        self.keyring = Keyring(bytes(32))
        self.sender = Outcomes(self.records, self.keyring)
        self.trainers = []

    def process(self):
        """Give the trainer of one more process, and what that process knows."""
        versions = Versions(self.records, self.keyring)
        turn = Turn(self.ledger, self.clock, "train_router")
        trainer = TrainRouter(self.records, self.keyring, versions, turn, self.clock, lambda: self.policy)
        self.trainers.append(trainer)
        return trainer, versions

    async def send(self, those):
        for outcome in those:
            self.sender.put(outcome)
        await self.sender.stop()

    async def close(self):
        for trainer in self.trainers:
            await trainer.stop()


def gains(versions):
    return [versions.weights(*PLACE).gain(prompt_features(prompt.format(5))) for prompt in (HARD, EASY)]


async def until(come_true):
    """Wait for what happens elsewhere; the suite's own limit ends it."""
    while not come_true():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


def school_of(trainer, place=PLACE):
    """Give what a trainer knows of a place."""
    return dict(trainer._schools.items())[place]
