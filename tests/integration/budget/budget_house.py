"""What the tests of budgets share: tenants with keys, gateways on one store, and a look into the ledger."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from gateway_process import Gateway
from multidict import CIMultiDict
from tests.integration.house.house_parts import SHIPPED, SampleThread

from penstock.budget.limits import Applied
from penstock.budget.window import Window, period
from penstock.clock import SYSTEM
from penstock.models.policy import Model
from penstock.models.prompt import prompt_bound
from penstock.openai import wire_json
from penstock.openai.request import request_of
from penstock.sample.answers import chat as sample_chat
from penstock.sample.tally import Seen
from penstock.stores.keyring import Keyring
from penstock.stores.ledger import Standing
from penstock.stores.open import open_ledger
from penstock.tenants.book import KeyBook
from penstock.tenants.policy import zone_of

Json = dict[str, Any]
FAULTS = "429 500 cut-0 cut-1 cut-3 hang hang-12".split()
PRICES = {"input_usd_per_million": 1, "output_usd_per_million": 4, "context_tokens": 8_000}
MODEL = Model(**PRICES, max_output_tokens=500)
RESERVATION_S = 5


def tokens(limit: int, window: str = "total", **more: Any) -> Json:
    return {"unit": "tokens", "window": window, "limit": limit, **more}


def requests(limit: int, window: str = "total") -> Json:
    return {"unit": "requests", "window": window, "limit": limit}


def usd(limit: float, window: str = "total") -> Json:
    return {"unit": "usd", "window": window, "limit": limit}


def policies(tenants: Json, upstream: str, *, leases: bool = False, **files: Json) -> Json:
    """Give policy files by name; `files` replace or extend them."""
    priced = {**PRICES, "max_output_tokens": 500}
    return {
        "tenants": {"tenants": tenants},
        "models": {"models": {name: priced for name in ("m", "small", *(f"fault-{f}" for f in FAULTS))}},
        "identify": {"on_failure": "reject", "other_endpoints": "allow"},
        "upstreams": {
            "default": "sample",
            "upstreams": {
                "sample": {
                    "url": upstream,
                    "auth": {"style": "none"},
                    "timeouts": {"connect_s": 2, "first_byte_s": 10, "between_events_s": 10, "total_s": 30},
                }
            },
        },
        "budget": {"reservation_s": RESERVATION_S, "leases": {"enabled": leases}, **files.pop("budget", {})},
        **files,
    }


@dataclass
class Fleet:
    """Gateways that share a store, a keyring and policies.

    `keys` are by holder: TENANT, TENANT/PROJECT or TENANT/-/USER.
    """

    folder: Path
    store: str
    upstream: SampleThread
    files: Json
    env: dict[str, str] = field(default_factory=dict)
    upstream_url: str | None = None
    keys: dict[str, str] = field(default_factory=dict)
    gateways: list[Gateway] = field(default_factory=list)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def policies(self) -> Path:
        return self.folder / "policies"

    async def prepare(self) -> None:
        """Write the policies, and make a key for every tenant, project and user."""
        self.state.mkdir(parents=True, mode=0o700)
        shutil.copytree(SHIPPED, self.policies, ignore=shutil.ignore_patterns("*_test.yaml"))
        for name in self.files:
            self.write(name)
        ledger, records = await open_ledger(self.store)
        book = KeyBook(records, Keyring.in_folder(self.state))
        for name, tenant in self.files["tenants"]["tenants"].items():
            holders = [("", "")]
            holders += [(project, "") for project in tenant.get("projects", ())]
            holders += [("", user) for user in tenant.get("users", ())]
            for project, user in holders:
                made = await book.create(name, project, user)
                self.keys["/".join(filter(None, (name, project or ("-" if user else ""), user)))] = made.value
        await ledger.close()
        await records.close()

    def write(self, name: str) -> None:
        """Write a policy file anew, as JSON, which is YAML; gateways see it by themselves."""
        (self.policies / f"{name}.yaml").write_text(json.dumps(self.files[name]), encoding="utf-8")

    def start(self) -> Gateway:
        """Start one more gateway."""
        options = ["--store", self.store]
        gateway = Gateway(
            self.state, self.upstream_url or self.upstream.url, self.policies, options=options, env=self.env
        )
        self.gateways.append(gateway)
        return gateway.start()

    def stop(self) -> None:
        """End all of them at once."""
        with ThreadPoolExecutor() as enders:
            list(enders.map(Gateway.stop, self.gateways))

    async def standing(self, tenant: str, limit: Json, scope: str = "tenant") -> Standing:
        """Read one limit's counter as it stands now."""
        ledger, records = await open_ledger(self.store)
        window = Window(limit.get("window", "none"))
        applied = Applied(scope, limit["unit"], window, 1, limit.get("model", ""))
        zone = zone_of(self.files["tenants"]["tenants"][tenant].get("timezone", "UTC"))
        now = now_s()
        try:
            account = applied.account(period(window, now, zone))
            return (await ledger.read(tenant, [account], now=now))[0]
        finally:
            await ledger.close()
            await records.close()

    async def settled(
        self, tenant: str, limit: Json, scope: str = "tenant", within_s: float = 5.0
    ) -> Standing:
        """Wait until nothing is held, and give the counter."""
        async with asyncio.timeout(within_s):
            while True:
                standing = await self.standing(tenant, limit, scope)
                if not standing.reserved and not await self.held(tenant):
                    return standing
                await asyncio.sleep(0.05)

    async def held(self, tenant: str) -> int:
        """Count the reservations that a tenant has under way."""
        ledger, records = await open_ledger(self.store)
        try:
            return await ledger.held(tenant, now=now_s())
        finally:
            await ledger.close()
            await records.close()

    @asynccontextmanager
    async def client(self, holder: str, gateway: int = 0) -> AsyncIterator["Client"]:
        """Give a plain client of one holder at one gateway."""
        headers = {"authorization": f"Bearer {self.keys[holder]}"}
        async with aiohttp.ClientSession(
            headers=headers, connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=40)
        ) as session:
            yield Client(session, self.gateways[gateway].base_url)


@dataclass
class Told:
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])

    @property
    def budget(self) -> Json:
        """The fields of x-dac-budget-remaining."""
        left, _, rest = self.headers["x-dac-budget-remaining"].partition("; ")
        return {"left": left, **dict(part.split("=", 1) for part in rest.split("; "))}


@dataclass
class Client:
    """A client without retries of its own."""

    session: aiohttp.ClientSession
    base_url: str

    async def ask(self, body: Json, path: str = "/chat/completions", **headers: str) -> Told:
        async with self.session.post(self.base_url + path, json=body, headers=headers) as answer:
            told = {name.lower(): value for name, value in answer.headers.items()}
            return Told(answer.status, told, await answer.read())

    async def leave_after(self, body: Json, events: int) -> Told:
        """Begin a stream, read so many events and cut the connection; give what was read."""
        url = self.base_url + "/chat/completions"
        answer = await self.session.post(url, json={**body, "stream": True})
        got = b""
        try:
            while (answer.status != 200 or got.count(b"\n\n") < events) and (
                more := await answer.content.readany()
            ):
                got += more
        finally:
            answer.close()
        return Told(answer.status, {}, got)


def chat(text: str, model: str = "m", **fields: Any) -> Json:
    return {"model": model, "messages": [{"role": "user", "content": text}], **fields}


def usage_of(body: Json) -> int:
    """Give what the sample upstream counts for a request, whole."""
    return int(sample_chat.answer(body, 1, 0)["usage"]["total_tokens"])


def reserved_for(sent: Json, asked: Json | None = None) -> int:
    """Give the most that was reserved for a request, by what was asked and the limit that was sent."""
    raw = wire_json.encode(sent if asked is None else asked)
    request = request_of("POST", "/v1/chat/completions", CIMultiDict(), raw)
    return prompt_bound(request, MODEL) + int(sent.get("max_tokens", MODEL.output_bound_tokens))


def asked_of(seen: Iterable[Seen], marker: str) -> list[Json]:
    """Give the upstream calls whose text has a marker."""
    return [call.json for call in list(seen) if marker.encode() in call.body]


def now_s() -> float:
    return SYSTEM.now()
