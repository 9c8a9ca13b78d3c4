"""Real traces, replayed on a real ledger: no budget is overrun, and nearly all of each is usable.

The traces are Azure's of 2023 (CC BY 4.0); where they are not at hand, these tests are skipped.
"""

import csv
import gzip
import heapq
import itertools
import random
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import Final

import pytest
from multidict import CIMultiDict

from penstock import testing
from penstock.budget.policy import BudgetPolicy
from penstock.errors import Refusal
from penstock.exchange import Call, Exchange
from penstock.models.policy import Model, ModelsPolicy
from penstock.openai import sse
from penstock.openai.usage import Usage
from penstock.reply import Reply, Stream
from penstock.stage import Resources
from penstock.stages.budget import Budget
from penstock.stores.keyring import Keyring
from penstock.stores.ledger import Account
from penstock.stores.open import open_stores
from penstock.tenants.policy import Limit, Tenant, TenantsPolicy

_WORKLOADS: Final = Path(__file__).parents[4] / "shared/data/workloads"
_TENANTS: Final = 20
_SHARE: Final = 0.6  # of what the trace asks for
_TOKENS_PER_S: Final = 30.0
_MAX_TOKENS: Final = 1024

Row = tuple[float, int, int]  # when, prompt tokens, answer tokens


def trace(name: str, most: int | None) -> list[Row]:
    path = _WORKLOADS / f"azure2023_{name}.csv.gz"
    if not path.exists():
        pytest.skip("the traces are not here")
    with gzip.open(path, "rt") as lines:
        rows = itertools.islice(csv.DictReader(lines), most)
        return [
            (
                datetime.fromisoformat(row["TIMESTAMP"][:26] + "+00:00").timestamp(),
                int(row["ContextTokens"]),
                int(row["GeneratedTokens"]),
            )
            for row in rows
        ]


class Tape:
    """An upstream that says what the trace says, unless it was told to say less."""

    def __init__(self, says: int, prompt: int) -> None:
        self._says = says
        self._prompt = prompt
        self.used = 0

    async def __call__(self, exchange: Exchange) -> Reply:
        says = min(self._says, (exchange.request.body or {})["max_tokens"])
        self.used = self._prompt + says
        exchange.calls.append(Call("m", Usage(self._prompt, says)))
        events = testing.Events([[sse.encode({"choices": []})], [sse.done()]])
        return Reply(200, CIMultiDict({"content-type": "text/event-stream"}), stream=Stream(events))


class Replay:
    """Plays a trace: what arrives, and what ends meanwhile, in the order of its time."""

    def __init__(self, rows: list[Row], tenants: dict[str, Tenant]) -> None:
        self._rows = rows
        self._policies = testing.policies(
            TenantsPolicy(tenants=tenants), ModelsPolicy(models={"m": _MODEL}), BudgetPolicy()
        )
        self._tenants = list(tenants)
        self._clock = testing.FrozenClock(rows[0][0])
        self._ends: list[tuple[float, int, Reply]] = []
        self.sent = dict.fromkeys(tenants, 0)
        self.refused: set[str] = set()

    async def run(self, store: str, path: Path) -> Budget:
        stores = await open_stores(store, self._clock)
        stage = Budget()
        await stage.start(
            Resources(stores.entries, stores.ledger, stores.records, Keyring(bytes(32)), path, self._clock)
        )
        chooser = random.Random(7)  # noqa: S311 - which tenant asks is no secret
        for number, (when, prompt, says) in enumerate(self._rows):
            await self._until(when)
            await self._arrive(stage, chooser.choice(self._tenants), number, prompt, says)
        await self._until(float("inf"))
        await stage.stop()
        for tenant in self._tenants:
            (standing,) = await stores.ledger.read(tenant, [_TOTAL], now=self._clock.now())
            assert standing.used == self.sent[tenant]
            assert (standing.reserved, standing.expired) == (0, 0)
        await stores.close()
        return stage

    async def _arrive(self, stage: Budget, tenant: str, number: int, prompt: int, says: int) -> None:
        body = {"model": "m", "prompt": [0] * prompt, "stream": True, "max_tokens": _MAX_TOKENS}
        exchange = testing.exchange("/v1/completions", body=body)
        exchange.policies, exchange.tenant = self._policies, tenant
        upstream = Tape(says, prompt)
        try:
            reply = await stage.answer(exchange, upstream)
        except Refusal as refusal:
            self.refused.add(refusal.code)
            return
        self.sent[tenant] += upstream.used
        lasts_s = (upstream.used - prompt) / _TOKENS_PER_S
        heapq.heappush(self._ends, (self._clock.now() + lasts_s, number, reply))

    async def _until(self, when: float) -> None:
        while self._ends and self._ends[0][0] <= when:
            ended, _, reply = heapq.heappop(self._ends)
            self._clock.advance(max(0.0, ended - self._clock.now()))
            assert reply.stream is not None
            async with aclosing(reply.stream.batches()) as batches:
                async for _ in batches:
                    pass
        if when != float("inf"):
            self._clock.advance(max(0.0, when - self._clock.now()))


_MODEL: Final = Model(
    input_usd_per_million=0.1, output_usd_per_million=0.4, context_tokens=100_000, max_output_tokens=8_192
)
_TOTAL: Final = Account("tenant/tokens/total/0/", float("inf"))


async def replayed(name: str, most: int | None, tmp_path: Path) -> None:
    rows = trace(name, most)
    chooser = random.Random(7)  # noqa: S311 - the same choice as in the replay
    asks = dict.fromkeys([f"tenant-{number}" for number in range(_TENANTS)], 0)
    for _, prompt, says in rows:
        asks[chooser.choice(list(asks))] += prompt + says
    limits = {tenant: int(_SHARE * asked) for tenant, asked in asks.items()}
    tenants = {
        tenant: Tenant(limits=(Limit(unit="tokens", window="total", limit=limit),))
        for tenant, limit in limits.items()
    }
    replay = Replay(rows, tenants)
    await replay.run(f"sqlite:///{tmp_path}/penstock.db", tmp_path)
    assert "insufficient_quota" in replay.refused <= {"insufficient_quota", "rate_limit_exceeded"}
    for tenant, limit in limits.items():
        assert replay.sent[tenant] <= limit
        assert replay.sent[tenant] / limit >= 0.995, (
            f"{tenant}: {replay.sent[tenant] / limit:.4f} of its budget"
        )


@pytest.mark.parametrize("name", ["code", "conv"])
async def test_a_quarter_of_an_hour_of_a_real_trace(name: str, tmp_path: Path) -> None:
    await replayed(name, 2_500, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["code", "conv"])
async def test_a_whole_trace(name: str, tmp_path: Path) -> None:
    await replayed(name, None, tmp_path)
