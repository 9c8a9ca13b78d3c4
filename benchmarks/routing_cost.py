"""What routing costs beside the large model alone, and how good it is: real outcomes, a running gateway.

    .venv/bin/python benchmarks/routing_cost.py [--only NAME,…] [--learn 1500] [--test 1500] [--feedback]

For each benchmark a fresh gateway learns from the dev rows (shadow traffic; with `--feedback` clients also
say how each answer was), then the held-out rows (fold 0 of 5, by prompt stem) are asked three times by three
tenants: of the alias `auto`, of `large` and of `small`. The spend is what the budget ledger has for it,
shadow traffic included, as the admin API tells it; the quality is what the data says of the model that
`x-dac-model` names. The goal: at most 0.70 of the cost of `large` at 95 % of its quality; nothing is
asserted.
"""

import argparse
import asyncio
import contextlib
import json
import random
import shutil
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
from two_models import LARGE, SECOND, SMALL, Models, Prompt, prompts

from penstock.clock import SYSTEM
from penstock.routing.versions import Version, Versions
from penstock.stores.keyring import Keyring
from penstock.stores.open import open_ledger
from penstock.tenants.book import KeyBook

CONNECTIONS: Final = 16
FOLDS: Final = 5
TENANTS: Final = ("auto", LARGE, SMALL)
USD_PER_MILLION: Final = {SMALL: 60.0, LARGE: 1000.0, SECOND: 60.0}
"""0.06 : 1, and so large that rounding up to whole micro-dollars does not count."""
GOAL: Final = (0.70, 0.95)
ROOT: Final = Path(__file__).parents[1]
DATA: Final = ROOT.parent / "shared" / "data" / "routing"
_STILL_S: Final = 30.0  # no new scorer for so long: it has learned what it could
_TRAINED_S: Final = 240.0

SETTINGS: Final[Mapping[str, Mapping[str, Any]]] = {
    "routellm-mmlu": {"large_share": 0.6, "shadow": 0.03},
    "routellm-gsm8k": {
        "decide": "small",
        "cascade": {"streams": "hold", "second_opinion": SECOND, "large_share": 0.54},
        "shadow": 0.0,
    },
    "zeroeval-gsm": {
        "decide": "small",
        "cascade": {"streams": "hold", "second_opinion": SECOND},
        "shadow": 0.03,
    },
    "mmlupro-llama": {
        "decide": "small",
        "cascade": {"streams": "hold", "second_opinion": SECOND, "large_share": 0.5},
        "shadow": 0.03,
    },
}
"""What an operator would write for each kind of traffic; see docs/stages/routing.md."""


@dataclass
class House:
    """One gateway with its folders. `keys` are the tenants' keys."""

    folder: Path
    upstream: str
    port: int
    admin_port: int
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def store(self) -> str:
        return f"sqlite:///{self.folder / 'store.db'}"

    def write(self, alias: Mapping[str, Any], *, feedback: bool) -> None:
        """Write the policies: as shipped, but for who pays, what is asked, and how it is routed."""
        shutil.copytree(
            ROOT / "policies", self.folder / "policies", ignore=shutil.ignore_patterns("*_test.yaml")
        )
        limits = [{"unit": "usd", "window": "total", "limit": 1_000_000}]
        sizes = {"context_tokens": 100_000, "max_output_tokens": 8_000}
        candidates = [{"model": SMALL}, {"model": LARGE}]
        stages = ["identify", *(["feedback"] if feedback else []), "budget", "routing", "upstream"]
        files: dict[str, Any] = {
            "chain": {"order": stages},
            "tenants": {"tenants": {name: {"limits": limits} for name in TENANTS}},
            "upstreams": {
                "default": "two",
                "upstreams": {"two": {"url": self.upstream, "auth": {"style": "none"}}},
            },
            "models": {"models": {name: {**_price(usd), **sizes} for name, usd in USD_PER_MILLION.items()}},
            "routing": {
                "aliases": {"auto": {"candidates": candidates, **alias}},
                "learn": {"every_s": 2, "least_outcomes": 50},
            },
        }
        for name, policy in files.items():
            (self.folder / "policies" / f"{name}.yaml").write_text(json.dumps(policy), encoding="utf-8")

    async def start(self) -> asyncio.subprocess.Process:
        """Start the gateway and wait until it is ready."""
        command = ["up", "--listen", f"127.0.0.1:{self.port}", "--admin", f"127.0.0.1:{self.admin_port}"]
        command += ["--policies", str(self.folder / "policies"), "--state", str(self.state)]
        with (self.folder / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "penstock", *command, "--store", self.store),
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )
        assert process.stdout is not None
        while not (line := await process.stdout.readline()).startswith(b"Penstock is ready"):
            assert line, f"the gateway did not start: {(self.folder / 'log').read_text()}"
        return process

    async def make_keys(self) -> None:
        """Make a key for each tenant, and so the store and the keyring."""
        self.state.mkdir(mode=0o700)
        ledger, records = await open_ledger(self.store)
        book = KeyBook(records, Keyring.in_folder(self.state))
        self.keys = {tenant: (await book.create(tenant, "", "")).value for tenant in TENANTS}
        await ledger.close()
        await records.close()

    async def spent_usd(self, tenant: str) -> float:
        """Read the tenant's spend in the ledger by the admin API, once nothing is held any more."""
        headers = {"authorization": f"Bearer {(self.state / 'admin.token').read_text().strip()}"}
        async with aiohttp.ClientSession(headers=headers) as session:
            while True:
                async with session.get(f"http://127.0.0.1:{self.admin_port}/budgets/{tenant}") as answer:
                    told = await answer.json()
                limit = next(limit for limit in told["limits"] if limit["unit"] == "usd")
                if not limit["reserved"]:
                    return float(limit["used"])
                await asyncio.sleep(0.2)

    async def trained(self) -> Version | None:
        """Wait until no new scorer comes, and give the live one."""
        ledger, records = await open_ledger(self.store)
        versions = Versions(records, Keyring.in_folder(self.state))
        number, since = -1, SYSTEM.monotonic()
        until = since + _TRAINED_S
        while SYSTEM.monotonic() < min(since + _STILL_S, until):
            await versions.look()
            if (live := versions.history("auto", "auto").live) != number:
                number, since = live, SYSTEM.monotonic()
            await asyncio.sleep(0.5)
        await records.close()
        await ledger.close()
        return versions.history("auto", "auto").version()


def _price(usd: float) -> dict[str, float]:
    return {"input_usd_per_million": usd, "output_usd_per_million": usd}


def free_port() -> int:
    """Find a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.asynccontextmanager
async def gateway(upstream: str, alias: Mapping[str, Any], *, feedback: bool = False) -> AsyncIterator[House]:
    """Run a gateway in front of the models, with a key for each tenant."""
    with tempfile.TemporaryDirectory(prefix="routing-cost-") as folder:
        house = House(Path(folder), upstream, free_port(), free_port())
        house.write(alias, feedback=feedback)
        await house.make_keys()
        process = await house.start()
        try:
            yield house
        except BaseException:
            print(*(house.folder / "log").read_text().splitlines()[-5:], sep="\n", file=sys.stderr)
            raise
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def replay(
    house: House, tenant: str, asked: Sequence[Prompt], *, feedback: bool = False
) -> tuple[float, Counter[str]]:
    """Ask all prompts; give the mean quality of the answers, and who gave how many."""
    waiting, quality, by = list(enumerate(asked))[::-1], 0.0, Counter[str]()
    headers = {"authorization": f"Bearer {house.keys[tenant]}", "x-dac-cache": "bypass"}

    async def connection(session: aiohttp.ClientSession) -> None:
        nonlocal quality
        while waiting:
            number, prompt = waiting.pop()
            messages = [{"role": "user", "content": prompt.text}]
            body = {"model": tenant, "messages": messages, "stream": number % 2 == 0}
            async with session.post(house.url + "/chat/completions", json=body) as answer:
                told = await answer.read()
                assert answer.status == 200, told
                model, request_id = answer.headers["x-dac-model"], answer.headers["x-request-id"]
            by[model] += 1
            quality += prompt.quality[model]
            if feedback:
                rating = {"request_id": request_id, "score": prompt.quality[model]}
                async with session.post(house.url + "/dac/feedback", json=rating) as answer:
                    assert answer.status < 300, await answer.read()

    connector = aiohttp.TCPConnector(limit=0)
    async with (
        aiohttp.ClientSession(headers=headers, connector=connector) as session,
        asyncio.TaskGroup() as group,
    ):
        for _ in range(CONNECTIONS):
            group.create_task(connection(session))
    return quality / len(asked), by


@dataclass(frozen=True, slots=True)
class Spent:
    """One run over the held-out rows: the ledger's dollars, those that the upstream counted, the quality."""

    usd: float
    counted_usd: float
    quality: float
    by: Counter[str]


async def run(house: House, models: Models, tenant: str, asked: Sequence[Prompt]) -> Spent:
    """Replay the rows for one tenant, and read what they cost."""
    before, used = await house.spent_usd(tenant), models.used.copy()
    quality, by = await replay(house, tenant, asked)
    usd = await house.spent_usd(tenant) - before
    counted = sum(
        (count - used[at]) * USD_PER_MILLION[at[0]] / 1e6 for at, count in list(models.used.items())
    )
    return Spent(usd, counted, quality, by)


@dataclass(frozen=True, slots=True)
class Result:
    """What one benchmark gave."""

    name: str
    learned: int
    asked: int
    live: Version | None
    spent: Mapping[str, Spent]

    @property
    def cost(self) -> float:
        return self.spent["auto"].usd / self.spent[LARGE].usd

    @property
    def quality(self) -> float:
        return self.spent["auto"].quality / self.spent[LARGE].quality

    @property
    def reached(self) -> bool:
        return self.cost <= GOAL[0] and self.quality >= GOAL[1]


async def measure(
    name: str, rows: Sequence[Prompt], alias: Mapping[str, Any], most: tuple[int, int], *, feedback: bool
) -> Result:
    """Let a fresh gateway learn, then compare. `most` are the rows to learn from and to ask."""
    rows = random.Random(5).sample(rows, len(rows))  # noqa: S311 - the data is sorted by subject
    held_out = [row for row in rows if int(row.group, 16) % FOLDS == 0][: most[1]]
    dev = [row for row in rows if int(row.group, 16) % FOLDS][: most[0]]
    async with Models(rows) as models, gateway(models.url, alias, feedback=feedback) as house:
        await replay(house, "auto", dev, feedback=feedback)
        live = await house.trained()
        spent = {tenant: await run(house, models, tenant, held_out) for tenant in TENANTS}
        return Result(name, len(dev), len(held_out), live, spent)


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="What routing costs beside the large model alone.")
    parser.add_argument("--data", type=Path, default=DATA, metavar="DIR")
    parser.add_argument("--only", default=",".join(SETTINGS), metavar="NAME,…")
    parser.add_argument(
        "--learn", type=int, default=1500, metavar="ROWS", help="at most so many to learn from"
    )
    parser.add_argument(
        "--test", type=int, default=1500, metavar="ROWS", help="at most so many held-out ones"
    )
    parser.add_argument("--feedback", action="store_true", help="clients say how each answer was")
    parser.add_argument("--alias", type=json.loads, default={}, metavar="JSON", help="change alias settings")
    return parser.parse_args()


def show(result: Result) -> None:
    """Print a benchmark's lines."""
    auto, large, small = (result.spent[tenant] for tenant in TENANTS)
    print(
        f"{result.name:<16}{result.learned:>6}{result.asked:>6}{auto.by[LARGE] / result.asked:>8.1%}"
        f"{auto.usd:>10.4f}{large.usd:>10.4f}{result.cost:>7.3f}{result.quality:>9.3f}"
        f"{small.quality / large.quality:>11.3f}{'  yes' if result.reached else '  NO'}",
        flush=True,
    )
    for tenant, spent in result.spent.items():
        if abs(spent.usd - spent.counted_usd) > 1e-3 * spent.counted_usd:
            print(f"    the ledger has {spent.usd:.4f} of {tenant}, the upstream {spent.counted_usd:.4f}")
    if live := result.live:
        print(f"    scorer {live.number} of {live.outcomes} outcomes: {live.why}")


async def main() -> None:
    """Measure the benchmarks one after the other."""
    chosen, began = options(), SYSTEM.monotonic()
    print(
        f"{'benchmark':<16}{'learn':>6}{'test':>6}{'large':>8}{'auto $':>10}{'large $':>10}{'cost':>7}",
        end="",
    )
    print(f"{'quality':>9}{'all small':>11}  <= .70 at >= .95", flush=True)
    results = []
    for name in chosen.only.split(","):
        rows, alias = prompts(chosen.data, name), {**SETTINGS[name], **chosen.alias}
        most = chosen.learn, chosen.test
        results.append(await measure(name, rows, alias, most, feedback=chosen.feedback))
        show(results[-1])
    auto, large = (sum(result.spent[tenant].usd for result in results) for tenant in ("auto", LARGE))
    right = [
        sum(result.spent[tenant].quality * result.asked for result in results) for tenant in ("auto", LARGE)
    ]
    print(f"{'all':<30}{'':>6}{auto:>10.4f}{large:>10.4f}{auto / large:>7.3f}{right[0] / right[1]:>9.3f}")
    print(f"{SYSTEM.monotonic() - began:.0f} s")


if __name__ == "__main__":
    asyncio.run(main())
