"""The webhook: once for each limit and window over all gateways, signed, and without anything personal."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from threading import Thread
from typing import Any

import pytest
from aiohttp import web
from budget_house import Fleet, asked_of, chat, tokens, usage_of

SECRET = "a-secret-of-this-test"
LIMIT = tokens(4_000, "day")
Call = tuple[dict[str, str], bytes]


class Hook:
    """A receiver that fails the first time, as receivers do."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.port: int = asyncio.run_coroutine_threadsafe(self._serve(), self._loop).result(10)

    async def _serve(self) -> int:
        app = web.Application()
        app.router.add_post("/hook", self._take)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return int(self._runner.addresses[0][1])

    async def _take(self, request: web.Request) -> web.Response:
        told = {name.lower(): value for name, value in request.headers.items()}
        self.calls.append((told, await request.read()))
        return web.Response(status=500 if len(self.calls) == 1 else 204)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


@pytest.fixture(scope="module")
def hook():
    hook = Hook()
    yield hook
    hook.stop()


@pytest.fixture(scope="module")
def pair(new_fleet: Callable[..., Fleet], hook: Hook) -> Fleet:
    """Two gateways that call the hook."""
    webhook = {"url": f"http://127.0.0.1:{hook.port}/hook", "secret": "env:HOOK_SECRET"}
    tenants = {"acme": {"limits": [LIMIT], "timezone": "Europe/Warsaw"}, "globex": {"limits": [LIMIT]}}
    return new_fleet(tenants, gateways=2, env={"HOOK_SECRET": SECRET}, budget={"webhook": webhook})


@pytest.fixture
async def warned(pair: Fleet, hook: Hook) -> AsyncIterator[Any]:
    """Use acme's budget up over both gateways, and give the answers."""
    text = "PERSONAL-THING " + "d " * 150
    answers = []
    async with pair.client("acme", 0) as one, pair.client("acme", 1) as other:
        for number in range(40):
            told = await (one, other)[number % 2].ask(chat(text, max_tokens=200), **{"x-dac-cache": "bypass"})
            answers.append(told)
            if told.status != 200:
                break
            await pair.settled("acme", LIMIT)  # which happens behind the answer
    return answers


async def test_who_is_warned_and_how_often(pair: Fleet, hook: Hook, warned: list[Any]) -> None:
    used, warnings = 0, []
    for told in warned[:-1]:
        used += told.json["usage"]["total_tokens"]
        warning = told.headers.get("x-dac-budget-warning")
        assert (warning is not None) == (used >= 3_200)
        if warning is not None:
            fields = dict(part.split("=", 1) for part in warning.split("; "))
            assert fields["unit"] == "tokens"
            assert (fields["scope"], fields["window"], fields["limit"]) == ("tenant", "day", "4000")
            assert int(fields["used"]) == used
            assert "T00:00:00+0" in fields["reset"]
            warnings.append(warning)
    assert warnings
    assert used == sum(map(usage_of, asked_of(pair.upstream.running.requests, "PERSONAL-THING")))
    async with asyncio.timeout(10):
        while len(hook.calls) < 2:  # noqa: ASYNC110 - the first was answered with 500
            await asyncio.sleep(0.05)
    await asyncio.sleep(1.5)  # a third call would come by now
    assert len(hook.calls) == 2
    (headers, body), (_, first) = hook.calls[1], hook.calls[0]
    assert body == first
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert headers["x-dac-signature"] == f"sha256={signature}"
    told = json.loads(body)
    assert told.pop("resets_at").endswith(":00")
    assert 3_200 <= told.pop("used") <= 4_000
    assert told == {
        "event": "budget_warning",
        "tenant": "acme",
        "scope": "tenant",
        "unit": "tokens",
        "window": "day",
        "model": None,
        "limit": 4_000,
    }
    lines = [
        line for gateway in pair.gateways for line in gateway.log if "are used to" in line.get("message", "")
    ]
    assert len(lines) == 1
    everything = body.decode() + json.dumps([gateway.log for gateway in pair.gateways])
    assert "PERSONAL-THING" not in everything
    assert SECRET not in everything
