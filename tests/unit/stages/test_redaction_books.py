"""redaction refuses what it can't read or write down, and its books hold no value."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from redaction_stage_house import (
    ALL,
    MAIL,
    OTHERS,
    VALUES,
    Echo,
    RedactionHouse,
    chat,
    holds_a_value,
    said,
)

from penstock import testing
from penstock.audit.problems import AuditUnavailable
from penstock.detect import Engine
from penstock.errors import Refusal, StartError
from penstock.exchange import Exchange
from penstock.reply import Reply

Build = Callable[..., Any]


# What breaks


async def unavailable(home: RedactionHouse, exchange: Exchange, rest: Any) -> None:
    with pytest.raises(Refusal) as refused:
        await home.ask(exchange, rest)
    assert (refused.value.status, refused.value.code) == (503, "redaction_unavailable")
    assert holds_a_value(refused.value.message) == []


async def test_a_detector_that_breaks_refuses_the_request(
    build: Build, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def breaks(self: Engine, text: str, label: str = "") -> NoReturn:
        raise RuntimeError(f"can't read {text}")

    home, upstream = await build(), Echo()
    monkeypatch.setattr(Engine, "find", breaks)
    home.stage.accept(testing.policies(home.policy))
    with caplog.at_level("DEBUG"):
        await unavailable(home, home.exchange(chat()), upstream)
    assert upstream.calls == 0
    assert "RuntimeError" in caplog.text
    assert holds_a_value(caplog.text) == []


@pytest.mark.parametrize("stream", [False, True])
async def test_a_detector_that_breaks_over_an_answer_ends_it(
    build: Build, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, stream: bool
) -> None:
    def breaks(self: Engine, text: str, label: str = "") -> list[Any]:
        if OTHERS[:5] in text:
            raise RuntimeError(f"can't read {text}")
        return []

    monkeypatch.setattr(Engine, "find", breaks)
    home = await build()
    upstream = testing.FakeUpstream(testing.chat_stream(OTHERS, " ") if stream else testing.chat(OTHERS))
    exchange = home.exchange(chat("hello", stream=stream))
    if stream:
        events = await home.ask(exchange, upstream)
        assert events[-1].json["error"]["code"] == "redaction_unavailable"
        assert OTHERS.encode() not in b"".join(event.raw for event in events)
    else:
        await unavailable(home, exchange, upstream)
    assert OTHERS not in caplog.text


@pytest.mark.parametrize("size", [10, 200_000])
async def test_a_detector_that_is_too_slow_refuses_the_request(
    build: Build, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    home, upstream = await build(time_budget_ms=20.0), Echo()
    gate = threading.Event()

    def slow(self: Engine, text: str, label: str = "") -> list[Any]:
        if size > 10:
            gate.wait(10)  # in a thread of its own: real time
        home.clock.advance(0.021)
        return []

    monkeypatch.setattr(Engine, "find", slow)
    home.stage.accept(testing.policies(home.policy))
    await unavailable(home, home.exchange(chat("x" * size)), upstream)
    gate.set()
    assert upstream.calls == 0


async def test_a_large_request_is_read_like_a_small_one(build: Build) -> None:
    home, upstream = await build(time_budget_ms=60_000.0), Echo(piece=100_000)
    text = "many words " * 20_000 + ALL
    assert said(await home.ask(home.exchange(chat(text, stream=True)), upstream)) == text
    assert holds_a_value(upstream.text) == []


@pytest.mark.parametrize("garbage", [b"<html>", b"{", b"\xff"])
async def test_an_answer_that_is_no_json_is_not_passed_on_unread(build: Build, garbage: bytes) -> None:
    home = await build()
    await unavailable(home, home.exchange(chat()), testing.FakeUpstream(lambda: Reply(200, body=garbage)))


async def test_without_a_trail_to_write_in_every_request_is_refused(build: Build) -> None:
    home, upstream = await build(), Echo()
    await home.stage._trail.close()
    await unavailable(home, home.exchange(chat("nothing to find")), upstream)
    assert upstream.calls == 0


async def test_a_trail_that_breaks_while_a_request_is_read_refuses_it(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, upstream = await build(), Echo()

    def full(records: Any) -> NoReturn:
        raise AuditUnavailable("the disk is full")

    monkeypatch.setattr(home.stage._trail, "add", full)
    await unavailable(home, home.exchange(chat()), upstream)
    assert upstream.calls == 0


async def test_a_state_folder_that_cant_be_written_keeps_the_gateway_from_starting(tmp_path: Path) -> None:
    (tmp_path / "audit").write_text("a file where the folder should be")
    with pytest.raises(StartError, match="audit trail"):
        await RedactionHouse(tmp_path).open()


# The audit trail


async def test_the_trail_has_one_record_for_each_finding_and_no_value(build: Build) -> None:
    home = await build()
    exchange = home.exchange(chat())
    await home.ask(exchange, Echo())
    lines = await home.records()
    assert sorted(line["type"] for line in lines) == sorted(VALUES)
    assert {(line["tenant"], line["request"], line["pointer"]) for line in lines} == {
        ("default", exchange.id, "/messages/0/content")
    }
    for line in lines:
        assert ALL[line["start"] : line["end"]] == VALUES[line["type"]]
    assert holds_a_value(await home.trail()) == []


async def test_one_value_has_one_mac_for_each_tenant(build: Build) -> None:
    home = await build()
    for tenant in ("one", "one", "two"):
        exchange = home.exchange(chat(MAIL))
        exchange.tenant = tenant
        await home.ask(exchange, Echo())
    macs = [line["value_mac"] for line in await home.records()]
    assert macs[0] == macs[1] != macs[2]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_ephemeral_request_is_redacted_and_leaves_only_counts(build: Build, stream: bool) -> None:
    home, upstream = await build(), Echo()
    exchange = home.exchange(chat(stream=stream))
    exchange.ephemeral = True
    assert said(await home.ask(exchange, upstream)) == ALL
    assert holds_a_value(upstream.text) == []
    assert await home.records() == []
    counts = [json.loads(line)["record"] for line in (await home.trail()).splitlines()]
    assert {one["type"]: one["count"] for one in counts if "count" in one} == dict.fromkeys(VALUES, 1)
    assert exchange.id not in await home.trail()
    assert exchange.redactions == {(type, "placeholder"): 1 for type in VALUES}
