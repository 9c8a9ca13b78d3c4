"""The door takes a request off its flow, answers through the pump, and closes the books whatever happens."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest
from mitmproxy import http
from mitmproxy.test import tflow, tutils
from multidict import CIMultiDict

from penstock import testing
from penstock.errors import Refusal
from penstock.exchange import Exchange
from penstock.gateway import Gateway
from penstock.openai.request import Endpoint
from penstock.proxy.door import FlowConversation, FlowDoor
from penstock.proxy.source import Pump
from penstock.reply import Observer, Outcome, Reply, refused


class _House:
    """As much of a gateway as a door asks for."""

    max_request_bytes = 100

    def __init__(self, answer: Callable[[], Reply] | None = None) -> None:
        self.policies = testing.policies()
        self.said = answer
        self.asked: list[tuple[Exchange, Refusal | None]] = []
        self.books: list[Reply | None] = []

    async def answer(self, exchange: Exchange, refusal: Refusal | None = None) -> Reply:
        self.asked.append((exchange, refusal))
        if refusal is not None:
            return refused(refusal)
        if self.said is None:
            await asyncio.Event().wait()
        assert self.said is not None
        return self.said()

    def close_books(self, exchange: Exchange, reply: Reply | None) -> None:
        self.books.append(reply)


class _Pump:
    """Writes down what a client would get."""

    def __init__(self, *, gone_after: int | None = None, breaks: bool = False) -> None:
        self.head_sent: http.Response | None = None
        self.pieces: list[bytes] = []
        self.ends: list[str] = []
        self._gone_after = gone_after
        self._breaks = breaks

    async def head(self, response: http.Response, *, body: bool) -> None:
        self.head_sent = response
        self.body = body

    async def data(self, data: bytes) -> None:
        if self._breaks:
            raise OSError("the pump broke")
        self.pieces.append(data)
        if len(self.pieces) == self._gone_after:
            await asyncio.Event().wait()

    async def whole(self, response: http.Response, body: bytes) -> None:
        await self.head(response, body=True)
        await self.data(body)
        await self.end()

    async def end(self) -> None:
        self.ends.append("end")

    async def crash(self) -> None:
        self.ends.append("crash")


class _Ending(Observer):
    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    async def ended(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


def a_flow(
    method: bytes = b"POST", path: bytes = b"/v1/chat/completions", content: bytes = b"{}"
) -> http.HTTPFlow:
    headers = http.Headers([(b"content-length", b"%d" % len(content)), (b"Authorization", b"Bearer sk-1")])
    return tflow.tflow(req=tutils.treq(method=method, path=path, content=content, headers=headers))


def begun(flow: http.HTTPFlow, house: _House, *, inspected: bool = False) -> FlowConversation:
    door = FlowDoor(cast(Gateway, house), inspected=inspected)
    door.begin(flow)
    conversation = door.conversation(flow)
    assert conversation is not None
    return conversation


async def talk(flow: http.HTTPFlow, house: _House, pump: _Pump | None = None) -> _Pump:
    conversation = begun(flow, house)
    conversation.take_body(flow)
    pump = pump or _Pump()
    await conversation.talk(cast(Pump, pump))
    return pump


async def test_the_body_leaves_the_flow_and_the_keys_are_hidden_but_the_exchange_has_both() -> None:
    house = _House(testing.chat("hi"))
    flow = a_flow(content=b'{"model": "m"}', path=b"/v1/chat/completions?a=%41")
    await talk(flow, house)
    ((exchange, refusal),) = house.asked
    assert refusal is None
    assert exchange.request.body == {"model": "m"}
    assert (exchange.request.path, exchange.request.query) == ("/chat/completions", "a=%41")
    assert exchange.request.headers["authorization"] == "Bearer sk-1"
    assert flow.request.content == b""
    assert flow.request.headers["authorization"] == "[removed]"


async def test_a_plain_answer_has_its_length() -> None:
    house = _House(testing.chat("hi"))
    pump = await talk(a_flow(), house)
    assert pump.head_sent is not None
    assert pump.head_sent.headers["content-length"] == str(len(pump.pieces[0]))
    assert (pump.head_sent.status_code, pump.head_sent.reason, pump.ends) == (200, "OK", ["end"])
    assert len(house.books) == 1


async def test_a_stream_goes_batch_by_batch_and_the_first_byte_is_marked() -> None:
    house = _House(testing.chat_stream("a", "b"))
    pump = await talk(a_flow(), house)
    assert len(pump.pieces) == 4
    assert pump.head_sent is not None
    assert pump.head_sent.headers["transfer-encoding"] == "chunked"
    assert house.asked[0][0].first_byte is not None


@pytest.mark.parametrize(
    ("version", "framing"),
    [(b"HTTP/1.0", {"connection": "close"}), (b"HTTP/2.0", {})],
)
async def test_other_versions_frame_a_stream_their_own_way(version: bytes, framing: dict[str, str]) -> None:
    flow = a_flow()
    flow.request.data.http_version = version
    pump = await talk(flow, _House(testing.chat_stream("a")))
    assert pump.head_sent is not None
    told = {name: value for name, value in pump.head_sent.headers.items() if name != "content-type"}
    assert told == framing


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", 200), (b"GET", 204), (b"GET", 304)])
async def test_an_answer_without_a_body_sends_none_and_lets_its_stream_go(method: bytes, status: int) -> None:
    ended = _Ending()
    made = testing.chat_stream("a")().observed_by(ended)
    made.status = status
    pump = await talk(a_flow(method, b"/v1/files", b""), _House(lambda: made))
    assert (pump.pieces, pump.body, pump.ends) == ([], False, ["end"])
    assert pump.head_sent is not None
    assert "transfer-encoding" not in pump.head_sent.headers
    assert ended.outcomes == [Outcome.ABANDONED]


@pytest.mark.parametrize(
    ("flow", "code"),
    [
        (a_flow(content=b"{oops"), "invalid_json"),
        (a_flow(content=b"[]"), "invalid_json"),
        (a_flow(path=b"/v1/../admin"), "invalid_path"),
        (a_flow(path=b"/v1/%2E%2e/admin"), "invalid_path"),
    ],
)
async def test_what_is_wrong_before_the_chain_is_refused(flow: http.HTTPFlow, code: str) -> None:
    house = _House()
    pump = await talk(flow, house)
    assert house.asked[0][1] is not None
    assert house.asked[0][1].code == code
    assert pump.ends == ["end"]
    assert len(house.books) == 1


async def test_a_body_that_is_too_large_is_refused_with_the_limit() -> None:
    house = _House()
    conversation = begun(flow := a_flow(), house)
    assert conversation.limit_bytes == 100
    conversation.too_large = True
    conversation.take_body(flow)
    await conversation.talk(cast(Pump, _Pump()))
    refusal = house.asked[0][1]
    assert refusal is not None
    assert (refusal.status, refusal.code) == (413, "request_too_large")
    assert "100 bytes" in refusal.message


async def test_the_body_of_an_endpoint_we_do_not_understand_streams() -> None:
    conversation = begun(flow := a_flow(path=b"/v1/files", content=b"abc"), _House())
    assert flow.request.stream
    assert conversation.limit_bytes is None
    assert conversation.exchange.request.endpoint is Endpoint.OTHER
    conversation.take_body(flow)
    assert conversation.upload is not None
    assert [piece async for piece in conversation.upload] == [b"abc"]


async def test_a_client_that_leaves_ends_the_stream_and_the_books_are_closed() -> None:
    made = testing.chat_stream("a", "b")()
    house = _House(lambda: made)
    task = asyncio.create_task(talk(a_flow(), house, _Pump(gone_after=1)))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert made.stream is not None
    assert made.stream.outcome is Outcome.ABANDONED
    assert house.books == [made]


async def test_a_client_that_leaves_before_there_is_an_answer_is_in_the_books() -> None:
    house = _House()
    task = asyncio.create_task(talk(a_flow(), house))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert house.books == [None]


@pytest.mark.parametrize("answer", [testing.chat("hi"), testing.chat_stream("a")])
async def test_an_answer_that_can_not_be_sent_cuts_the_client_off(answer: Callable[[], Reply]) -> None:
    house = _House(answer)
    pump = await talk(a_flow(), house, _Pump(breaks=True))
    assert pump.ends == ["crash"], "never a clean end"
    assert len(house.books) == 1


async def test_a_stream_of_ours_that_breaks_cuts_the_client_off_too() -> None:
    pump = await talk(a_flow(), _House(testing.chat_stream("a", ending=ZeroDivisionError())))
    assert (len(pump.pieces), pump.ends) == (1, ["crash"])


async def test_a_request_to_forget_leaves_the_flow_at_once() -> None:
    flow = a_flow()
    flow.request.headers["X-DAC-Store"] = "none"
    flow.request.headers["X-Marker"] = "1"
    begun(flow, _House())
    assert flow.request.path == "/[ephemeral]"
    assert "x-marker" not in flow.request.headers


def test_an_exchange_is_inspected_only_where_somebody_looks() -> None:
    for inspected in (True, False):
        assert begun(a_flow(), _House(), inspected=inspected).exchange.inspected is inspected


def test_a_status_that_has_no_name_is_sent_without_one() -> None:
    conversation: Any = begun(a_flow(), _House())
    response = conversation._response(Reply(599, CIMultiDict()), has_body=True)
    assert (response.status_code, response.reason) == (599, "")
