"""Limits as clients meet them: all hold or none is charged, and bad input costs nothing."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from budget_house import Fleet, Json, asked_of, chat, requests, reserved_for, tokens, usage_of, usd

from penstock.budget.changed import ChangedLimits
from penstock.budget.limits import Applied
from penstock.budget.window import Window
from penstock.stores.keyring import Keyring
from penstock.stores.open import open_ledger

_numbers = iter(range(10_000))


@pytest.fixture
def text() -> str:
    return f"exact{next(_numbers)}x hello there"


async def until_status(client: Any, body: Json, status: int) -> Any:
    """Ask until a change has arrived."""
    async with asyncio.timeout(5):
        while (told := await client.ask(body, **{"x-dac-cache": "bypass"})).status != status:  # noqa: ASYNC110 - nobody would set an event for it
            await asyncio.sleep(0.1)
        return told


async def test_a_plain_call_is_charged_what_the_upstream_counted(house: Fleet, text: str):
    before = (await house.settled("exact", tokens(1))).used
    async with house.client("exact") as client:
        told = await client.ask(chat(text))
    charge = (await house.settled("exact", tokens(1))).used - before
    assert charge == told.json["usage"]["total_tokens"] == usage_of(chat(text))
    assert int(told.budget["left"]) == 1_000_000 - before - charge
    assert told.headers["x-ratelimit-limit-tokens"] == "1000000"
    assert told.headers["x-ratelimit-remaining-tokens"] == told.budget["left"]


async def test_no_more_than_is_left_is_sent_upstream(house: Fleet, text: str):
    async with house.client("small") as client:
        told = await client.ask(chat(text + " word" * 30, max_tokens=10_000))
        left_alone = await client.ask(chat(text, max_completion_tokens=20, max_tokens=20))
    sent = asked_of(house.upstream.running.requests, text)
    assert (told.status, left_alone.status) == (200, 200)
    assert sent[0]["max_tokens"] < 420
    assert reserved_for(sent[0]) <= 420
    assert (sent[1]["max_tokens"], sent[1]["max_completion_tokens"]) == (20, 20)


async def test_the_limit_of_a_request_that_names_none(house: Fleet, text: str):
    async with house.client("bounded") as client:
        while (await client.ask(chat(text), **{"x-dac-cache": "bypass"})).status == 200:
            pass
    left = [900]
    for sent in asked_of(house.upstream.running.requests, text):
        assert reserved_for(sent, chat(text)) <= left[-1]
        left.append(left[-1] - usage_of(sent))
    assert min(left) >= 0
    assert (await house.settled("bounded", tokens(1, "day"))).used == 900 - left[-1]


async def test_a_prompt_larger_than_the_budget_is_stopped_and_costs_nothing(house: Fleet, text: str):
    async with house.client("tiny") as client:
        told = await client.ask(chat(text + " a" * 500))
    assert (told.status, told.code) == (429, "insufficient_quota")
    assert told.headers["x-should-retry"] == "false"
    assert "tokens in all for tenant tiny" in told.json["error"]["message"]
    assert (await house.settled("tiny", tokens(1))).used == 0


async def test_all_limits_hold_or_none_is_charged(house: Fleet, text: str):
    async with house.client("several") as client:
        told = [await client.ask(chat(f"{text} {number}")) for number in range(5)]
    assert [answer.status for answer in told] == [200, 200, 200, 429, 429]
    calls = asked_of(house.upstream.running.requests, text)
    assert len(calls) == 3
    assert (await house.settled("several", tokens(1))).used == sum(map(usage_of, calls))
    assert (await house.settled("several", requests(1, "day"))).used == 3
    money = (await house.settled("several", usd(1))).used
    assert money == sum(
        told["prompt_tokens"] + 4 * told["completion_tokens"] for told in map(_usage, told[:3])
    )


def _usage(told: Any) -> Json:
    usage: Json = told.json["usage"]
    return usage


@pytest.mark.parametrize(
    ("holder", "scope"), [("grouped/search", "project:search"), ("grouped/-/ada", "user:ada")]
)
async def test_projects_and_users_have_limits_of_their_own(house: Fleet, text: str, holder: str, scope: str):
    async with house.client(holder) as client, house.client("grouped") as tenant:
        while (told := await client.ask(chat(text + " a" * 60), **{"x-dac-cache": "bypass"})).status == 200:
            pass
        others = await tenant.ask(chat(text))
    assert told.code == "insufficient_quota"
    assert scope.replace(":", " ") in told.json["error"]["message"]
    assert others.status == 200
    assert 0 < (await house.settled("grouped", tokens(1), scope)).used <= 400


async def test_a_models_limit_counts_dated_names_too(house: Fleet, text: str):
    async with house.client("modelled") as client:
        while (
            told := await client.ask(chat(text + " b" * 60, "small-2026-01-31"), **{"x-dac-cache": "bypass"})
        ).status == 200:
            pass
        again = await client.ask(chat(text + " b" * 60, "small"))
        other = await client.ask(chat(text, "m"))
    assert "on model small" in told.json["error"]["message"]
    assert (again.status, other.status) == (429, 200)
    assert 0 < (await house.settled("modelled", tokens(1, model="small"))).used <= 500


async def test_a_changed_limit_acts_without_restart_and_resets_nothing(house: Fleet, text: str):
    ledger, records = await open_ledger(house.store)
    limits = ChangedLimits(records, Keyring.in_folder(house.state))
    limit = Applied("tenant", "tokens", Window.TOTAL, 40)
    async with house.client("changing") as client:
        assert (await client.ask(chat(text))).status == 200
        spent = (await house.settled("changing", tokens(1))).used
        await limits.set("changing", limit)
        told = await until_status(client, chat(text), 429)
        assert told.headers["x-ratelimit-limit-tokens"] == "40"
        assert (await house.settled("changing", tokens(1))).used >= spent
        await limits.set("changing", Applied("tenant", "tokens", Window.TOTAL, 5_000))
        told = await until_status(client, chat(text), 200)
    assert told.headers["x-ratelimit-limit-tokens"] == "5000"
    assert (await house.settled("changing", tokens(1))).used == 5_000 - int(told.budget["left"])
    await ledger.close()
    await records.close()


async def test_a_reloaded_policy_acts_and_resets_nothing(house: Fleet, text: str):
    tenants = house.files["tenants"]["tenants"]
    async with house.client("reloaded") as client:
        assert (await client.ask(chat(text))).status == 200
        spent = (await house.settled("reloaded", tokens(1))).used
        tenants["reloaded"] = {"limits": [tokens(30)]}
        house.write("tenants")
        told = await until_status(client, chat(text), 429)
        assert told.headers["x-ratelimit-limit-tokens"] == "30"
        assert (await house.settled("reloaded", tokens(1))).used >= spent
        tenants["reloaded"] = {"limits": [tokens(9_000)]}
        house.write("tenants")
        told = await until_status(client, chat(text), 200)
    assert (await house.settled("reloaded", tokens(1))).used == 9_000 - int(told.budget["left"])


async def test_the_small_model_answers_from_its_share_on_and_is_not_kept(house: Fleet, text: str):
    async with house.client("degraded") as client:
        first = await client.ask(chat(text, max_tokens=30))
        assert (await client.ask(chat(text + " c" * 150, max_tokens=200))).status == 200
        assert (await house.settled("degraded", tokens(1))).used >= 200
        body = chat(text + " degraded", max_tokens=30)
        second, third = await client.ask(body), await client.ask(body)
    assert first.headers["x-dac-model"] == "m"
    assert [told.headers["x-dac-model"] for told in (second, third)] == ["small", "small"]
    assert [told.headers["x-dac-cache"] for told in (second, third)] == ["miss", "miss"]
    assert [sent["model"] for sent in asked_of(house.upstream.running.requests, text)][-2:] == [
        "small",
        "small",
    ]


@pytest.mark.parametrize("value", [-1, 0, True, "12", 1.5, [], -(2**70)], ids=repr)
@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
async def test_a_limit_that_cannot_be_meant(house: Fleet, text: str, name: str, value: Any):
    await _refused(house, chat(text, **{name: value}), 400, "invalid_value", name)


async def test_a_huge_limit_is_bounded_by_the_model(house: Fleet, text: str):
    async with house.client("bad") as client:
        told = await client.ask(chat(text, max_tokens=10**30))
    assert told.status == 200


@pytest.mark.parametrize(
    ("more", "code", "param"),
    [
        ({"n": 1000}, "too_many_choices", "n"),
        ({"n": "2"}, "invalid_value", "n"),
        ({"n": 0}, "invalid_value", "n"),
        ({"model": "unheard-of"}, "model_not_priced", "model"),
        ({"model": None}, "model_not_priced", "model"),
        ({"model": 5}, "model_not_priced", "model"),
    ],
    ids=str,
)
async def test_what_cannot_be_asked(house: Fleet, text: str, more: Json, code: str, param: str):
    await _refused(house, {**chat(text), **more}, 400, code, param)


async def test_a_missing_model_has_no_price(house: Fleet, text: str):
    body = chat(text)
    del body["model"]
    await _refused(house, body, 400, "model_not_priced", "model")


async def test_a_body_without_messages_costs_nothing(house: Fleet, text: str):
    before = (await house.settled("bad", tokens(1))).used
    async with house.client("bad") as client:
        told = await client.ask({"model": "m", "user": text})
    assert told.status == 400
    assert (await house.settled("bad", tokens(1))).used == before


async def _refused(house: Fleet, body: Json, status: int, code: str, param: str) -> None:
    before = (await house.settled("bad", tokens(1))).used
    calls = house.upstream.calls
    async with house.client("bad") as client:
        told = await client.ask(body)
    assert (told.status, told.code, told.json["error"]["param"]) == (status, code, param)
    assert house.upstream.calls == calls
    assert (await house.settled("bad", tokens(1))).used == before
    assert await house.held("bad") == 0


async def test_without_limits_nothing_is_counted_or_told(house: Fleet, text: str):
    async with house.client("free") as client:
        told = await client.ask(chat(text, "a-model-without-price"))
    assert told.status == 200
    assert not [name for name in told.headers if name.startswith("x-dac-budget") or name.endswith("-tokens")]
    assert (await house.standing("free", tokens(1))).used == 0


async def test_endpoints_that_nobody_can_meter(house: Fleet):
    async with house.client("bad") as client:
        speech = await client.ask({"model": "tts", "input": "hello", "voice": "x"}, "/audio/speech")
        free = await client.ask({"input": "hello"}, "/moderations")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.session.ws_connect(house.gateways[0].base_url + "/realtime")
        listed = await client.session.get(house.gateways[0].base_url + "/models")
    assert (speech.status, speech.code) == (403, "endpoint_not_metered")
    assert free.status == 404  # the sample upstream's own word: it was asked
    assert refused.value.status == 403
    assert listed.status == 200


async def test_the_providers_own_tools_are_refused(house: Fleet, text: str):
    await _refused(house, {**chat(text), "tools": [{"type": "web_search"}]}, 403, "tool_not_metered", "tools")
    own = {"type": "function", "function": {"name": "own", "parameters": {"type": "object"}}}
    async with house.client("bad") as client:
        assert (await client.ask(chat(text, tools=[own]))).status == 200


async def test_nobody_is_told_anothers_figures_and_nothing_said_is_logged(house: Fleet, text: str):
    async with house.client("tiny") as client:
        told = await client.ask(chat(f"{text} SECRET-WORD" + " a" * 500))
    shown = told.body.decode() + json.dumps(told.headers)
    others = [name for name in house.files["tenants"]["tenants"] if name != "tiny" and name in shown]
    assert [name for name in others if f"tenant {name}" in shown] == []
    gateway = house.gateways[0]
    logged = json.dumps(gateway.log)
    assert "SECRET-WORD" not in logged
    assert not [key for key in house.keys.values() if key in logged or key[21:64] in logged]
    files = [path for path in house.folder.rglob("*") if path.is_file() and path.suffix != ".json"]
    assert not [path for path in files if b"SECRET-WORD" in path.read_bytes()]
