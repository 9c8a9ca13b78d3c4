"""An upstream that slows down or stops loses its traffic, and gets it back: a real gateway, real calls."""

import asyncio
import itertools
from collections import Counter
from dataclasses import replace

import aiohttp
import pytest
from gateway_process import free_port

from penstock.clock import SYSTEM
from penstock.sample import Settings, serve

FAST = Settings(first_ms=100)
SLOW = replace(FAST, first_ms=1000)
CONNECTIONS = 12
WITHIN_S = 20.0

CHAIN = "order: [identify, routing, upstream]\n"
UPSTREAMS = """
default: nobody
upstreams:
  nobody: {{url: "http://127.0.0.1:9/v1"}}
  east: {{url: "http://127.0.0.1:{east}/v1", provider: one, region: eu-east}}
  west: {{url: "http://127.0.0.1:{west}/v1", provider: two, region: eu-west}}
"""
ROUTING = """
aliases:
  auto:
    candidates: [{model: gpt-4o-mini, upstreams: [east, west]}]
    stick: none
latency: {window_s: 5, slow_factor: 2.5, probe_s: 0.5}
"""


class Traffic:
    """Connections that ask one request after the other, plain answers and streams, until they are stopped."""

    def __init__(self, base_url, session):
        self._url = base_url + "/chat/completions"
        self._session = session
        self._numbers = itertools.count()
        self.answered_by = []
        self.statuses = Counter()
        self.stopped = False

    async def run(self):
        while not self.stopped:
            number = next(self._numbers)
            body = {"model": "auto", "messages": [{"role": "user", "content": f"Number {number}."}]}
            async with self._session.post(self._url, json={**body, "stream": number % 2 == 0}) as answer:
                await answer.read()
                self.statuses[answer.status] += 1
                self.answered_by.append(answer.headers["x-dac-upstream"])

    async def until(self, come_true, what):
        """Wait until something holds for the last answers that began after now."""
        begin, deadline = len(self.answered_by) + CONNECTIONS, SYSTEM.monotonic() + WITHIN_S
        while not come_true(self.answered_by[begin:][-50:]):
            assert SYSTEM.monotonic() < deadline, f"{what}: {self.answered_by[-50:].count('west')} of 50"
            await asyncio.sleep(0.05)


def share_of_west(least, most):
    return lambda last: len(last) >= 50 and least <= last.count("west") / len(last) <= most


@pytest.fixture(scope="module")
def ports():
    return free_port(), free_port()


@pytest.fixture(scope="module")
def gateway(start_gateway, ports):
    upstreams = UPSTREAMS.format(east=ports[0], west=ports[1])
    return start_gateway("slow", chain=CHAIN, upstreams=upstreams, routing=ROUTING)


@pytest.fixture
async def west(ports):
    east, west = [await serve(port=port, settings=FAST) for port in ports]
    yield west
    await east.stop()
    await west.stop()


@pytest.fixture
async def traffic(gateway, west):
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as group:
        traffic = Traffic(gateway.base_url, session)
        for _ in range(CONNECTIONS):
            group.create_task(traffic.run())
        yield traffic
        traffic.stopped = True


async def gauge(gateway, upstream):
    async with aiohttp.ClientSession() as session, session.get(gateway.admin_url + "/metrics") as answer:
        lines = (await answer.text()).splitlines()
    found = [
        line for line in lines if line.startswith("penstock_upstream_slow{") and f'="{upstream}"' in line
    ]
    assert len(found) == 1, found
    assert f'region="eu-{upstream}"' in found[0]
    return float(found[0].split()[-1])


async def marked(gateway, upstream):
    """Wait for the mark: the share may fall before it is there."""
    deadline = SYSTEM.monotonic() + WITHIN_S
    while not await gauge(gateway, upstream):
        assert SYSTEM.monotonic() < deadline, f"{upstream} is not marked"
        await asyncio.sleep(0.05)


async def test_a_slow_upstream_loses_its_traffic_and_gets_it_back(gateway, traffic, west):
    await traffic.until(share_of_west(0.3, 0.7), "equal shares")
    assert await gauge(gateway, "west") == 0

    west.settings = SLOW
    await traffic.until(share_of_west(0.0, 0.1), "a drained upstream")
    await marked(gateway, "west")
    assert await gauge(gateway, "east") == 0

    west.settings = FAST
    await traffic.until(share_of_west(0.3, 0.7), "an upstream that is back")
    assert await gauge(gateway, "west") == 0
    assert set(traffic.statuses) == {200}


async def test_a_stopped_upstream_loses_its_traffic_and_gets_it_back(traffic, west):
    await traffic.until(share_of_west(0.3, 0.7), "equal shares")

    await west.stop()
    await traffic.until(share_of_west(0.0, 0.1), "a drained upstream")
    refused, seen = traffic.statuses[502], traffic.statuses.total()
    await traffic.until(lambda last: len(last) >= 50, "more traffic")
    assert traffic.statuses[502] - refused < (traffic.statuses.total() - seen) / 4
    assert refused < 50

    again = await serve(port=west.port, settings=FAST)
    await traffic.until(share_of_west(0.3, 0.7), "an upstream that is back")
    await again.stop()
