"""The admin port's pages."""

import asyncio
import contextlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from penstock.admin.api import told_as_json
from penstock.admin.budget import Budgets
from penstock.admin.experiment import Experiments
from penstock.admin.router import Router
from penstock.admin.token import Token
from penstock.clock import SYSTEM
from penstock.errors import PenstockError, StartError
from penstock.settings import Address
from penstock.stores.keyring import Keyring
from penstock.stores.open import open_stores
from penstock.stores.protocol import Store

log = logging.getLogger("penstock.admin")
_PATIENCE_S: Final = 2.0
_LONGEST_BODY: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Told:
    """What the gateway tells this process: where both listen, and what they share."""

    admin: Address
    gateway: Address
    store: str
    state: Path
    policies: Path

    @classmethod
    def read(cls, line: bytes) -> "Told":
        """Read the line that proxy/beside.py writes."""
        said = json.loads(line)
        return cls(
            Address.parse(said["admin"]),
            Address.parse(said["gateway"]),
            said["store"],
            Path(said["state"]),
            Path(said["policies"]),
        )


class Pages:
    """Answers /healthz, /readyz and /metrics."""

    def __init__(self, gateway: Address, store: Store, session: aiohttp.ClientSession) -> None:
        self._gateway = gateway
        self._store = store
        self._session = session

    async def healthz(self, _request: web.Request) -> web.Response:
        """Say that this process lives."""
        return web.json_response({"status": "ok"})

    async def readyz(self, _request: web.Request) -> web.Response:
        """Say whether the gateway takes requests and its store answers: 200, or 503 with what is missing."""
        gateway, store = await asyncio.gather(self._gateway_answers(), self._store_answers())
        ready = gateway and store
        parts = {"gateway": "ok" if gateway else "down", "store": "ok" if store else "down"}
        return web.json_response(
            {"status": "ready" if ready else "not ready", **parts}, status=200 if ready else 503
        )

    async def metrics(self, _request: web.Request) -> web.Response:
        """Give the metrics of all processes of this gateway, added up."""
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        text = await asyncio.to_thread(generate_latest, registry)
        return web.Response(body=text, headers={"content-type": CONTENT_TYPE_LATEST})

    async def _gateway_answers(self) -> bool:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            async with self._session.get(f"http://{self._gateway}/healthz") as answer:
                return answer.status == 200
        return False

    async def _store_answers(self) -> bool:
        with contextlib.suppress(PenstockError):
            await self._store.ping()
            return True
        return False


async def serve(told: Told, stop: asyncio.Event) -> None:
    """Serve until `stop` is set. Raises StartError."""
    token, keyring = Token(told.state), Keyring.in_folder(told.state)
    try:
        token.read()
    except StartError as problem:  # health and metrics need no token
        log.error("the admin API is closed: %s", problem)
    stores = await open_stores(told.store, SYSTEM)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_PATIENCE_S)) as session:
        pages = Pages(told.gateway, stores.entries, session)
        app = web.Application(middlewares=[told_as_json], client_max_size=_LONGEST_BODY)
        app.router.add_get("/healthz", pages.healthz)
        app.router.add_get("/readyz", pages.readyz)
        app.router.add_get("/metrics", pages.metrics)
        app.add_subapp("/budgets", Budgets(told.policies, keyring, stores, token).app())
        app.add_subapp("/experiments", Experiments(told.policies, keyring, stores, token).app())
        app.add_subapp("/router", Router(keyring, stores, token).app())
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, told.admin.host, told.admin.port).start()
            print("listening", flush=True)  # the gateway waits for this line
            await stop.wait()
        finally:
            await runner.cleanup()
            await stores.close()
