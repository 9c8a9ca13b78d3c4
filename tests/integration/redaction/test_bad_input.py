"""Input that nobody should send: an answer or a clear refusal, never a hang, never a leak."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest
from gateway_process import Gateway

from penstock.sample import Running, serve

CHAIN = "order: [identify, ephemeral, redaction, cache, upstream]"
MAIL = "ann.example@example.com"


@pytest.fixture(scope="module")
def redacting(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway("bad-input", chain=CHAIN, redaction="actions: {PERSON: allow}")


@pytest.fixture
async def sample(upstream_port: int) -> AsyncIterator[Running]:
    running = await serve(port=upstream_port)
    yield running
    await running.stop()


async def send(gateway: Gateway, raw: bytes) -> tuple[int, bytes]:
    limit = aiohttp.ClientTimeout(total=20)
    async with (
        aiohttp.ClientSession(timeout=limit) as session,
        session.post(gateway.base_url + "/chat/completions", data=raw) as answer,
    ):
        return answer.status, await answer.read()


def chat(content: object, **fields: object) -> bytes:
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": content}], **fields}).encode()


def nested(depth: int) -> object:
    inner: object = f"write to {MAIL}"
    for _ in range(depth):
        inner = {"in": [inner]}
    return inner


HOSTILE = {
    "one token of a megabyte": chat("a" * 1_000_000),
    "a megabyte of digits": chat("1" * 1_000_000),
    "a megabyte of at signs": chat("a@" * 500_000),
    "an address at the end of a megabyte": chat("x " * 500_000 + MAIL),
    "deep": chat("hi", extra=nested(200)),
    "deeper than anyone reads": b'{"model":"m","messages":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "half a character": b'{"model":"m","messages":[{"role":"user","content":"\\ud83d %s"}]}' % MAIL.encode(),
    "a key that is a value": chat("hi", metadata={MAIL: "x"}),
    "a key that stands twice": b'{"model":"m","messages":[{"role":"user","content":"%s"}],"messages":[]}'
    % MAIL.encode(),
    "zero-width inside": chat("ann.example\u200b@exam\u200bple.com"),
    "full-width": chat("\uff41nn.example\uff20example.com"),
    "url-escaped": chat("ann.example%40example%2Ecom"),
    "json in a string": chat(json.dumps({"to": MAIL})),
    "null everywhere": chat(None, tools=None, metadata=None, stop=None),
    "numbers for strings": chat(7, user=4111111111111111),
}


@pytest.mark.parametrize("what", HOSTILE)
async def test_it_is_answered_and_nothing_goes_up(what: str, redacting: Gateway, sample: Running) -> None:
    status, told = await asyncio.wait_for(send(redacting, HOSTILE[what]), 20)
    assert status in (200, 400, 413, 503), told[:300]
    sent = b"".join(seen.body for seen in sample.requests)
    for form in (b"ann.example@", b"ann.example%40", "ann.example\u200b".encode(), b"ann.example\\u200b"):
        assert form not in sent
    if status != 200:
        assert json.loads(told)["error"]["code"]
        assert MAIL.encode() not in told
