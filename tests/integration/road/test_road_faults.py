"""Every fault of the sample upstream, as it reaches a client through a gateway that does not wait long."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from gateway_process import Gateway
from wire import Answer, Ask

from penstock.sample import Running, faults

LONGEST_S = 8  # total_s of the swift policy, and a slow machine
Both = Callable[..., Awaitable[list[Answer]]]

AS_IT_CAME = ["400", "400-retry", "401", "403", "404", "408", "409", "422", "429", "429-after-200"]
AS_IT_CAME += ["429-ms", "429-no-retry", "429-quota", "500", "503", "504", "529", "status-418"]
REPLACED = {
    "400-text": (400, "upstream_error"),
    "500-path": (500, "upstream_error"),
    "502": (502, "upstream_error"),
    "html": (502, "upstream_invalid_answer"),
    "garbage": (502, "upstream_invalid_answer"),
    "empty": (502, "upstream_invalid_answer"),
    "list": (502, "upstream_invalid_answer"),
    "close": (502, "upstream_closed"),
    "reset": (502, "upstream_closed"),
    "hang": (504, "upstream_first_byte_timeout"),
    "short": (502, "upstream_stream_truncated"),
}
BROKEN = {
    "hang-headers": "upstream_first_byte_timeout",
    "reset-3": "upstream_stream_truncated",
    "hang-0": "upstream_first_byte_timeout",
    "hang-3": "upstream_between_events_timeout",
    "end-0": "upstream_stream_truncated",
    "end-3": "upstream_stream_truncated",
    "no-finish": "upstream_stream_truncated",
    "error-0": "server_error",
    "error-3": "server_error",
    "error-event-3": "server_error",
    "detail-3": "upstream_error",
    "malformed-3": "upstream_stream_garbled",
    "garbage-3": "upstream_stream_garbled",
}
WHOLE = ["no-done", "held", "drip", "slow-first", "comments", "bare-fields", "crlf", "cr", "single-bytes"]
WHOLE += ["usage-on-finish", "huge-event-1", "wrong-type", "gzip", "deflate"]
WHOLE_PLAIN = ["huge-2", "slow-headers", "gzip", "deflate"]
ELSEWHERE = {"cut-K", "endless", "flaky-N-…"}  # in tests of their own, here and in test_road_flow.py


def test_every_fault_of_the_sample_is_met_here():
    met = {*AS_IT_CAME, *REPLACED, *BROKEN, *WHOLE, *WHOLE_PLAIN}
    known = {name for group in (faults.STATUS, faults.CONNECTION, faults.STREAM) for name in group}
    numbered = {re.sub(r"-\d+$", "-K", name) for name in met}
    assert known - ELSEWHERE <= met | numbered
    assert met <= known | {name for name in met if re.sub(r"-\d+$", "-K", name) in known}


@pytest.fixture
def meet(swift: Gateway, sample: Running, ask: Ask, chat: dict[str, Any]) -> Callable[..., Awaitable[Answer]]:
    """Meet a fault once, plain or streamed, and be sure that it did not hang."""

    async def once(fault: str, *, stream: bool, **more: Any) -> Answer:
        body = {**chat, "model": f"fault-{fault}", "stream": stream, **more}
        async with asyncio.timeout(LONGEST_S):
            return await ask(swift.port, "/v1/chat/completions", body)

    return once


def assert_says_nothing_of_the_server(answer: Answer):
    assert b"<html" not in answer.body.lower()
    assert b"/srv" not in answer.body
    assert b"Traceback" not in answer.body


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("fault", AS_IT_CAME)
async def test_an_error_in_json_goes_on_as_it_came(
    swift: Gateway, both: Both, chat: dict[str, Any], fault: str, stream: bool
):
    body = {**chat, "model": f"fault-{fault}", "stream": stream}
    direct, through = await both(swift, "/v1/chat/completions", body)
    assert (through.status, through.body) == (direct.status, direct.body)
    for name, value in direct.headers.items():
        if name.lower().startswith(("retry-after", "x-ratelimit-", "x-request-id", "openai-", "x-should")):
            assert through.headers[name] == value
    assert through.headers["x-request-id"] == "req_sample00000001"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("fault", REPLACED)
async def test_what_is_no_answer_becomes_an_error_in_openais_shape(
    meet: Callable[..., Awaitable[Answer]], sample: Running, fault: str, stream: bool
):
    told = await meet(fault, stream=stream)
    status, code = REPLACED[fault]
    assert (told.status, told.json["error"]["code"]) == (status, code)
    assert set(told.json["error"]) == {"message", "type", "param", "code"}
    assert told.headers["content-type"] == "application/json"
    assert told.clean
    assert_says_nothing_of_the_server(told)
    assert told.headers["x-request-id"].startswith("req_")
    assert sample.calls == 1


async def test_a_replaced_error_keeps_what_clients_wait_by(
    meet: Callable[..., Awaitable[Answer]],
):
    told = await meet("502", stream=False)
    assert told.headers["x-request-id"] == "req_sample00000001"
    assert told.headers["x-ratelimit-limit-requests"] == "10000"
    assert told.headers["openai-version"] == "2020-10-01"


@pytest.mark.parametrize("fault", BROKEN)
async def test_a_broken_stream_ends_in_one_error(
    meet: Callable[..., Awaitable[Answer]], sample: Running, fault: str
):
    told = await meet(fault, stream=True)
    assert told.status == 200
    assert told.clean
    assert [error["code"] for error in told.errors] == [BROKEN[fault]]
    assert told.events[-1].json["error"] == told.errors[0]
    assert not told.finished
    assert b"[DONE]" not in told.body
    assert b"\x00" not in told.body
    assert told.body.count(b"data:") == len(told.events)
    assert_says_nothing_of_the_server(told)
    assert sample.calls == 1


async def test_a_plain_answer_that_never_comes_times_out(meet: Callable[..., Awaitable[Answer]]):
    told = await meet("hang-headers", stream=False)
    assert (told.status, told.json["error"]["code"]) == (504, "upstream_first_byte_timeout")


async def test_headers_that_drip_in_are_not_waited_for_longer_than_a_first_byte(
    swift: Gateway, start_sample: Callable[..., Awaitable[Running]], ask: Ask, chat: dict[str, Any]
):
    await start_sample(drip_ms=20)
    body = {**chat, "model": "fault-slow-headers"}
    told = await ask(swift.port, "/v1/chat/completions", body)
    assert (told.status, told.json["error"]["code"]) == (504, "upstream_first_byte_timeout")


async def test_a_stream_that_never_falls_silent_ends_at_the_total_limit(
    swift: Gateway, start_sample: Callable[..., Awaitable[Running]], ask: Ask, chat: dict[str, Any]
):
    await start_sample(delay_ms=800)
    async with asyncio.timeout(LONGEST_S):
        told = await ask(swift.port, "/v1/chat/completions", {**chat, "stream": True})
    assert [error["code"] for error in told.errors] == ["upstream_total_timeout"]
    assert "You said" in told.text
    assert not told.finished


@pytest.mark.parametrize("fault", WHOLE)
async def test_an_odd_stream_that_is_whole_is_no_failure(
    meet: Callable[..., Awaitable[Answer]], fault: str, words: str
):
    told = await meet(fault, stream=True)
    assert told.status == 200
    assert told.clean
    assert told.errors == []
    assert told.finished
    assert told.text.endswith(f"said: {words}") or fault == "single-bytes"
    assert "content-encoding" not in told.headers
    assert told.headers["content-type"].startswith("text/event-stream")
    blocks = told.body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").strip(b"\n").split(b"\n\n")
    assert all(b"data:" in block or block.startswith(b":") for block in blocks)  # one SDK dies of others


@pytest.mark.parametrize("fault", WHOLE_PLAIN)
async def test_an_odd_plain_answer_that_is_whole_is_no_failure(
    meet: Callable[..., Awaitable[Answer]], fault: str, words: str
):
    told = await meet(fault, stream=False)
    assert told.status == 200
    assert told.json["choices"][0]["message"]["content"] == f"You said: {words}"
    assert "content-encoding" not in told.headers


async def test_a_stream_cut_anywhere_ends_whole_or_in_one_error(
    meet: Callable[..., Awaitable[Answer]], sample: Running, words: str
):
    pieces = 2 + len(words.split())
    for after in range(pieces + 5):
        told = await meet(f"cut-{after}", stream=True)
        assert told.status == 200
        assert told.clean
        if after < pieces + 2:
            assert [error["code"] for error in told.errors] == ["upstream_stream_truncated"]
            assert len(told.events) == after + 1
            assert not told.finished
        else:
            assert told.errors == []
            assert told.finished
            assert told.text == f"You said: {words}"


@pytest.mark.parametrize("cut", range(0, 12, 2))
async def test_a_response_stream_that_is_cut_ends_in_one_error(
    swift: Gateway, sample: Running, ask: Ask, words: str, cut: int
):
    body = {"model": f"fault-cut-{cut}", "input": words, "stream": True}
    told = await ask(swift.port, "/v1/responses", body)
    assert [error["code"] for error in told.errors] == ["upstream_stream_truncated"]
    assert len(told.events) == cut + 1
    assert b"response.completed" not in told.body


ONCE = ["500", "502", "html", "list", "close", "short"]
ONCE_STREAMED = ["cut-5", "reset-5", "end-5", "no-finish", "error-5", "detail-5", "malformed-5", "hang-5"]


@pytest.mark.parametrize(
    ("fault", "stream"),
    [*((fault, stream) for fault in ONCE for stream in (False, True)), *((f, True) for f in ONCE_STREAMED)],
)
async def test_nothing_of_a_failed_answer_is_kept(
    meet: Callable[..., Awaitable[Answer]],
    sample: Running,
    words: str,
    fault: str,
    stream: bool,
):
    failed = await meet(f"flaky-1-{fault}", stream=stream)
    again = await meet(f"flaky-1-{fault}", stream=stream)
    third = await meet(f"flaky-1-{fault}", stream=stream)
    assert failed.status >= 400 or failed.errors
    assert (again.status, again.headers["x-dac-cache"]) == (200, "miss")
    assert (third.status, third.headers["x-dac-cache"]) == (200, "hit")
    assert not again.errors if stream else again.json["choices"]
    assert sample.calls == 2


async def test_an_answer_cut_by_its_token_limit_is_given_but_not_kept(
    meet: Callable[..., Awaitable[Answer]], sample: Running
):
    for stream in (False, True, False):
        told = await meet("flaky-0-500", stream=stream, max_tokens=2)
        assert told.headers["x-dac-cache"] == "miss"
    assert sample.calls == 3


async def test_a_failed_exchange_is_logged_with_its_code(
    swift: Gateway, meet: Callable[..., Awaitable[Answer]], until: Callable[..., Awaitable[None]]
):
    before = len(swift.exchanges)
    await meet("cut-3", stream=True)
    await meet("500", stream=False)
    expected = {(200, "upstream_stream_truncated", "failed"), (500, None, None)}

    def told() -> set[tuple[int, str | None, str | None]]:
        lines = swift.exchanges[before:]
        return {(line["status"], line.get("error"), line.get("outcome")) for line in lines}

    await until(lambda: expected <= told())
