"""The admin port's pages."""

import asyncio
import contextlib
from typing import Final

import aiohttp
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from penstock.clock import SYSTEM
from penstock.errors import PenstockError
from penstock.settings import Address
from penstock.stores.open import open_store
from penstock.stores.protocol import Store

_PATIENCE_S: Final = 2.0


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


async def serve(listen: Address, gateway: Address, store_url: str, stop: asyncio.Event) -> None:
    """Serve until `stop` is set."""
    store = await open_store(store_url, SYSTEM)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_PATIENCE_S)) as session:
        pages = Pages(gateway, store, session)
        app = web.Application()
        app.router.add_get("/healthz", pages.healthz)
        app.router.add_get("/readyz", pages.readyz)
        app.router.add_get("/metrics", pages.metrics)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, listen.host, listen.port).start()
            print("listening", flush=True)  # the gateway waits for this line
            await stop.wait()
        finally:
            await runner.cleanup()
            await store.close()
