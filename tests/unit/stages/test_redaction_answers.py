"""redaction reads all of an answer that reaches a client: headers, errors, and what is too much to read."""

import json
import re
from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from multidict import CIMultiDict
from redaction_stage_house import MAIL, OTHERS, Echo, RedactionHouse, Rest, chat, holds_a_value, said

from penstock import testing
from penstock.audit.problems import AuditUnavailable
from penstock.chain import Chain, ChainPolicy
from penstock.errors import Refusal
from penstock.exchange import Exchange
from penstock.openai import sse
from penstock.openai.sse import Parser
from penstock.policy.base import StagePolicy
from penstock.reply import Reply, Stream
from penstock.upstream import failures

Build = Callable[..., Any]
MANY = " ".join(f"u{n}@example.org" for n in range(20_001))
OTHER_MANY = MANY.replace(".org", ".net")


async def through_chain(home: RedactionHouse, body: Any, rest: Any) -> tuple[int, Any]:
    """Ask as a client does: status, and the JSON of the answer or its events."""
    chain = Chain({"redaction": home.stage, "upstream": Rest(rest)})
    exchange = home.exchange(body)
    order = ChainPolicy(order=("redaction", "upstream"))
    exchange.policies = testing.policies(home.policy, StagePolicy(), order)
    try:
        reply = await chain.answer(exchange)
    except Refusal as refusal:
        return refusal.status, refusal.shape()
    raw = await testing.read(reply)
    return reply.status, json.loads(raw) if reply.stream is None else list(Parser().feed(raw))


# Too many values


async def test_a_request_with_too_many_values_is_refused(build: Build) -> None:
    home, upstream = await build(time_budget_ms=60_000.0), Echo()
    status, told = await through_chain(home, chat(MANY), upstream)
    assert (status, told["error"]["code"]) == (503, "redaction_unavailable")
    assert "u1@" not in json.dumps(told)
    assert upstream.calls == 0
    status, told = await through_chain(home, chat(MANY.partition(" ")[2]), upstream)
    assert status == 200
    assert said(told) == MANY.partition(" ")[2]


@pytest.mark.parametrize("where", ["header", "query"])
async def test_too_many_values_around_a_request_refuse_it(build: Build, where: str) -> None:
    home, upstream = await build(), Echo()
    exchange = home.exchange(chat("hello"))
    if where == "header":
        exchange.request.headers["x-list"] = MANY
    else:
        exchange.request.query = MANY.replace(" ", "&")
    with pytest.raises(Refusal) as refused:
        await home.ask(exchange, upstream)
    assert (refused.value.status, refused.value.code) == (503, "redaction_unavailable")
    assert upstream.calls == 0


@pytest.mark.parametrize("word", [True, False])
@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_with_too_many_values_ends_before_them(
    build: Build, stream: bool, word: bool
) -> None:
    home = await build(time_budget_ms=60_000.0)
    text = OTHER_MANY.replace(" ", ",") if word else OTHER_MANY
    upstream = testing.FakeUpstream(testing.chat_stream("so ", text) if stream else testing.chat(text))
    status, told = await through_chain(home, chat("hello", stream=stream), upstream)
    if stream:
        assert told[-1].json["error"]["code"] == "redaction_unavailable"
        assert said(told[:-1]) == "so "
    else:
        assert (status, told["error"]["code"]) == (503, "redaction_unavailable")
        assert "u1@" not in json.dumps(told)


async def test_an_answer_that_would_hold_back_too_much_ends(build: Build) -> None:
    home = await build()
    pieces = ["so ", *["x" * 500_000] * 9, MAIL]
    upstream = testing.FakeUpstream(testing.chat_stream(*pieces))
    _, told = await through_chain(home, chat("hello", stream=True), upstream)
    assert told[-1].json["error"]["code"] == "redaction_unavailable"
    assert said(told[:-1]) == "so "


# Headers and errors


HEADERS = CIMultiDict(
    {"x-request-id": "req_7f1e", "x-answered-for": OTHERS, "x-ratelimit-remaining-tokens": "149984"}
)


@pytest.mark.parametrize("status", [200, 302, 404, 500])
async def test_an_answers_headers_are_read(build: Build, status: int) -> None:
    home = await build()

    def reply() -> Reply:
        return Reply(status, CIMultiDict(HEADERS), json.dumps({"note": f"for {OTHERS}"}).encode())

    got = await testing.run_stage(home.stage, home.exchange(chat("hello")), testing.FakeUpstream(reply))
    assert sorted(got.headers) == ["x-ratelimit-remaining-tokens", "x-request-id"]
    assert json.loads(got.body) == {"note": "for [EMAIL]"}


async def test_headers_that_come_with_a_failure_are_read(build: Build) -> None:
    home = await build()

    async def fails(exchange: Exchange) -> NoReturn:
        refusal = failures.invalid(500)
        refusal.headers.update(HEADERS)
        raise refusal

    with pytest.raises(Refusal) as refused:
        await home.ask(home.exchange(chat("hello")), fails)
    assert "x-request-id" in refused.value.headers
    assert OTHERS not in refused.value.headers.values()


async def test_headers_pass_where_answers_are_not_read(build: Build) -> None:
    home = await build(direction="request")
    upstream = testing.FakeUpstream(lambda: Reply(200, CIMultiDict(HEADERS), b"{}"))
    got = await testing.run_stage(home.stage, home.exchange(chat("hello")), upstream)
    assert got.headers == HEADERS


async def test_an_upstreams_error_in_a_stream_is_read_and_restored(build: Build) -> None:
    home = await build()

    async def rest(exchange: Exchange) -> Reply:
        own = str((exchange.request.body or {})["messages"][0]["content"])
        failed = failures.told(sse.encode({"error": {"message": f"not {OTHERS} but {own}"}}))
        return Reply(200, stream=Stream(testing.Events([[testing.chunk({"content": "so "})], failed])))

    events = await home.ask(home.exchange(chat(MAIL, stream=True)), rest)
    assert events[-1].json == {"error": {"message": f"not [EMAIL] but {MAIL}"}}
    assert "response" in [line["direction"] for line in await home.records()]


async def test_an_error_that_is_blocked_says_only_that_the_upstream_failed(build: Build) -> None:
    home = await build(actions={"EMAIL": "block"})

    async def rest(exchange: Exchange) -> Reply:
        failed = failures.told(sse.encode({"error": {"message": f"not {OTHERS}"}}))
        return Reply(200, stream=Stream(testing.Events([failed])))

    (event,) = await home.ask(home.exchange(chat("hello", stream=True)), rest)
    assert event.json["error"]["code"] == "upstream_error"
    assert OTHERS not in event.raw.decode()


# What can't be written down does not go on


async def test_a_stream_ends_before_what_can_t_be_written_down(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = await build()

    def full(records: Any) -> NoReturn:
        raise AuditUnavailable("the disk is full")

    monkeypatch.setattr(home.stage._trail, "add", full)
    upstream = testing.FakeUpstream(testing.chat_stream("so ", OTHERS, " and more"))
    events = await home.ask(home.exchange(chat("hello", stream=True)), upstream)
    assert events[-1].json["error"]["code"] == "redaction_unavailable"
    assert said(events[:-1]) == "so "


@pytest.mark.parametrize("times", [1, 3])
async def test_each_finding_of_a_stream_is_written_down_once(build: Build, times: int) -> None:
    home = await build()
    texts = [f"To u{n}@example.net then " for n in range(times)]
    await home.ask(
        home.exchange(chat("hello", stream=True)), testing.FakeUpstream(testing.chat_stream(*texts))
    )
    assert [line["type"] for line in await home.records()] == ["EMAIL"] * times


# A large answer


async def test_a_large_answer_is_read_like_a_small_one(build: Build) -> None:
    home = await build(time_budget_ms=60_000.0)
    text = "many words " * 20_000
    upstream = testing.FakeUpstream(testing.chat(f"{text}{OTHERS}"))
    assert said(await home.ask(home.exchange(chat("hello")), upstream)) == f"{text}[EMAIL]"


async def test_an_answer_that_takes_too_long_to_read_is_refused(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = await build(time_budget_ms=20.0)
    reader = home.stage._reader(home.policy, "default")

    def slow(text: str, label: str = "") -> list[Any]:
        home.clock.advance(0.021 if "answer" in text else 0.0)
        return []

    monkeypatch.setattr(reader.find, "_find", slow)
    with pytest.raises(Refusal) as refused:
        await home.ask(home.exchange(chat("hello")), testing.FakeUpstream(testing.chat("an answer")))
    assert (refused.value.status, refused.value.code) == (503, "redaction_unavailable")


# The memory


async def test_what_one_tenant_sent_makes_nothing_faster_for_another(build: Build) -> None:
    home = await build()
    reader = home.stage._reader(home.policy, "default")
    asked: list[str] = []
    find = reader.find._find
    reader.find._find = lambda text, label="": asked.append(text) or find(text, label)
    for tenant in ("one", "one", "two"):
        exchange = home.exchange(chat(f"Mail {MAIL}"))
        exchange.tenant = tenant
        await home.ask(exchange, testing.FakeUpstream(testing.chat("ok")))
    assert asked.count(f"Mail {MAIL}") == 2
    kept = repr(reader.find._kept)
    assert holds_a_value(kept) == []
    assert not re.search(r"Mail|one|two", kept.replace("None", ""))
