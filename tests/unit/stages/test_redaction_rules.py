"""redaction does with each value, file, tenant and endpoint what its policy says."""

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any

import pytest
from multidict import CIMultiDict
from redaction_stage_house import (
    ALL,
    MAIL,
    OTHERS,
    Echo,
    chat,
    holds_a_value,
    said,
)

from penstock import testing
from penstock.errors import Refusal
from penstock.openai.request import request_of
from penstock.redaction.policy import Pattern, RedactionPolicy, Tuning
from penstock.reply import Reply

Build = Callable[..., Any]


# What is done with a value


@pytest.mark.parametrize(
    ("action", "up", "down"),
    [
        ("placeholder", r"\[EMAIL_[0-9]{12}\]", MAIL),
        ("synthetic", r"user[0-9]{12}@example\.com", MAIL),
        ("mask", r"###\.######@#######\.###", None),
        ("hash", r"#EMAIL:[0-9a-f]{16}#", None),
        ("allow", re.escape(MAIL), MAIL),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_every_action(build: Build, action: str, up: str, down: str | None, stream: bool) -> None:
    home, upstream = await build(actions={"EMAIL": action}), Echo()
    exchange = home.exchange(chat(f"Ask {MAIL} now", stream=stream))
    answer = await home.ask(exchange, upstream)
    assert re.fullmatch(f"Ask {up} now", upstream.text)
    assert said(answer) == (upstream.text if down is None else f"Ask {down} now")
    assert exchange.redactions["EMAIL", action] >= 1
    assert {line["action"] for line in await home.records()} == {action}


async def test_a_blocked_type_is_refused_with_its_type_and_place_and_without_its_value(build: Build) -> None:
    home, upstream = await build(actions={"CREDIT_CARD": "block"}), Echo()
    asked = chat("hello")
    asked["messages"].append({"role": "user", "content": [{"type": "text", "text": ALL}]})
    exchange = home.exchange(asked)
    with pytest.raises(Refusal) as refused:
        await home.ask(exchange, upstream)
    assert (refused.value.status, refused.value.code) == (400, "redaction_blocked")
    assert refused.value.param == "/messages/1/content/0/text"
    assert "CREDIT_CARD" in refused.value.message
    assert holds_a_value(refused.value.body().decode() + repr(exchange.decisions)) == []
    assert [(decision.action, decision.reason) for decision in exchange.decisions] == [
        ("blocked", "CREDIT_CARD")
    ]
    assert upstream.calls == 0
    (line,) = await home.records()
    assert (line["type"], line["action"], line["direction"]) == ("CREDIT_CARD", "block", "request")
    assert exchange.redactions == {("CREDIT_CARD", "block"): 1}


@pytest.mark.parametrize("stream", [False, True])
async def test_a_blocked_type_in_an_answer_ends_it(build: Build, stream: bool) -> None:
    home = await build(actions={"EMAIL": "block"})
    upstream = testing.FakeUpstream(testing.chat_stream("Write ", OTHERS) if stream else testing.chat(OTHERS))
    exchange = home.exchange(chat("hello", stream=stream))
    if not stream:
        with pytest.raises(Refusal) as refused:
            await home.ask(exchange, upstream)
        assert refused.value.code == "redaction_blocked"
        assert OTHERS not in refused.value.message
    else:
        events = await home.ask(exchange, upstream)
        assert events[-1].json["error"]["code"] == "redaction_blocked"
        assert OTHERS.encode() not in b"".join(event.raw for event in events)
    (line,) = await home.records()
    assert (line["type"], line["action"], line["direction"]) == ("EMAIL", "block", "response")


async def test_a_value_in_the_structure_is_refused(build: Build) -> None:
    home, upstream = await build(), Echo()
    exchange = home.exchange({**chat("hello"), "model": MAIL})
    with pytest.raises(Refusal) as refused:
        await home.ask(exchange, upstream)
    assert (refused.value.status, refused.value.code) == (400, "redaction_blocked")
    assert refused.value.param == "/model"
    assert MAIL not in refused.value.message
    assert [(decision.action, decision.reason) for decision in exchange.decisions] == [("blocked", "EMAIL")]
    assert [line["action"] for line in await home.records()] == ["structural"]
    assert upstream.calls == 0


async def test_a_value_in_the_structure_passes_where_the_policy_lets_it(build: Build) -> None:
    home, upstream = await build(structural="allow"), Echo()
    exchange = home.exchange({**chat("hello"), "model": MAIL})
    await home.ask(exchange, upstream)
    assert upstream.body["model"] == MAIL
    assert exchange.redactions == {("EMAIL", "structural"): 1}


# Files


def a_file(content: bytes, media_type: str) -> dict[str, Any]:
    data = f"data:{media_type};base64,{b64encode(content).decode()}"
    part = {"type": "file", "file": {"filename": "list", "file_data": data}}
    text = {"type": "text", "text": "hello"}
    return {"model": "m", "messages": [{"role": "user", "content": [text, part]}]}


def content_of(body: dict[str, Any]) -> bytes:
    return b64decode(body["messages"][0]["content"][1]["file"]["file_data"].partition(",")[2])


async def test_a_text_file_is_scanned(build: Build) -> None:
    home, upstream = await build(files="scan"), Echo()
    await home.ask(home.exchange(a_file(f"name,mail\nann,{MAIL}\n".encode(), "text/csv")), upstream)
    assert re.fullmatch(rb"name,mail\nann,\[EMAIL_[0-9]{12}\]\n", content_of(upstream.body))


@pytest.mark.parametrize(
    ("rule", "content", "media_type"),
    [
        ("scan", b"\x89PNG\r\n" * 8, "image/png"),
        ("scan", b"\xff\xfe\xff not UTF-8" * 3, "text/plain"),
        ("block", b"nothing to hide in this plain text", "text/plain"),
    ],
)
async def test_a_file_that_may_not_pass_is_refused(
    build: Build, rule: str, content: bytes, media_type: str
) -> None:
    home, upstream = await build(files=rule), Echo()
    exchange = home.exchange(a_file(content, media_type))
    with pytest.raises(Refusal) as refused:
        await home.ask(exchange, upstream)
    assert (refused.value.code, refused.value.param) == (
        "redaction_blocked",
        "/messages/0/content/1/file/file_data",
    )
    assert upstream.calls == 0
    assert [decision.reason for decision in exchange.decisions] == ["FILE"]
    assert [line["type"] for line in await home.records()] == ["FILE"]


async def test_a_refused_files_media_type_is_not_quoted(build: Build) -> None:
    home, upstream = await build(), Echo()
    source = {"media_type": MAIL, "data": "QUJD" * 20}
    asked = {"model": "m", "messages": [{"role": "user", "content": [{"type": "image", "source": source}]}]}
    with pytest.raises(Refusal) as refused:
        await home.ask(home.exchange(asked), upstream)
    assert MAIL not in refused.value.message


async def test_a_file_passes_unread_where_the_policy_lets_it(build: Build) -> None:
    home, upstream = await build(files="allow"), Echo()
    await home.ask(home.exchange(a_file(ALL.encode(), "text/plain")), upstream)
    assert content_of(upstream.body) == ALL.encode()


# Tenants


async def test_a_tenant_has_rules_of_its_own(build: Build) -> None:
    tenants = {
        "masked": Tuning(actions={"EMAIL": "mask"}),
        "open": Tuning(allow=(MAIL,)),
        "strict": Tuning(thresholds={"EMAIL": 1.0}),
    }
    home, upstream = await build(tenants=tenants), Echo()
    sent = {}
    for tenant in ("default", *tenants, "default"):
        exchange = home.exchange(chat(MAIL))
        exchange.tenant = tenant
        await home.ask(exchange, upstream)
        sent[tenant] = upstream.text
    assert sent["default"].startswith("[EMAIL_")
    assert sent["masked"] == "###.######@#######.###"
    assert sent["open"] == sent["strict"] == MAIL


async def test_new_policies_hold_from_the_next_request_on(build: Build) -> None:
    home, upstream = await build(), Echo()
    await home.ask(home.exchange(chat(MAIL)), upstream)
    home.policy = RedactionPolicy(allow=(MAIL,))
    home.stage.accept(testing.policies(home.policy))
    await home.ask(home.exchange(chat(MAIL)), upstream)
    assert upstream.text == MAIL


async def test_a_pattern_of_ones_own_is_redacted_and_restored(build: Build) -> None:
    pattern = Pattern(name="badge", type="BADGE", pattern=r"\bB-[0-9]{4}\b")
    home, upstream = await build(patterns=(pattern,)), Echo()
    answer = await home.ask(home.exchange(chat("Badge B-1234")), upstream)
    assert upstream.text.startswith("Badge [BADGE_")
    assert said(answer) == "Badge B-1234"


# Endpoints that nobody can read


@pytest.mark.parametrize("path", ["/v1/files", "/v1/audio/speech", "/v1/messages", "/v1/realtime", "/v1/x"])
async def test_an_endpoint_that_cant_be_read_is_refused(build: Build, path: str) -> None:
    home, upstream = await build(), Echo()
    exchange = home.exchange({}, path)
    with pytest.raises(Refusal) as planned:
        home.stage.plan(exchange)
    with pytest.raises(Refusal) as refused:
        await home.ask(exchange, upstream)
    for refusal in (planned.value, refused.value):
        assert (refusal.status, refusal.code) == (403, "redaction_unread")
        assert "redaction.yaml" in refusal.message
        assert "'unread'" in refusal.message
    assert upstream.calls == 0


async def test_an_endpoint_that_is_listed_passes_unread(build: Build) -> None:
    home = await build(unread=("/files",))
    upstream = testing.FakeUpstream(lambda: Reply(200, body=json.dumps({"said": MAIL}).encode()))
    exchange = home.exchange({}, "/v1/files/file-1")
    assert await home.ask(exchange, upstream) == {"said": MAIL}
    assert [decision.action for decision in exchange.decisions] == ["unread"]


async def test_the_list_of_models_passes(build: Build) -> None:
    home = await build()
    exchange = home.exchange({})
    exchange.request = request_of("GET", "/v1/models", CIMultiDict(), b"")
    upstream = testing.FakeUpstream(lambda: Reply(200, body=b'{"object":"list","data":[]}'))
    assert await home.ask(exchange, upstream) == {"object": "list", "data": []}
    assert exchange.decisions[0].action == "pass"
