"""ephemeral marks an exchange of which nothing may persist, and refuses every word but `none`."""

import pytest
from multidict import CIMultiDict

from penstock import testing
from penstock.errors import Refusal
from penstock.exchange import Decision, Exchange
from penstock.stages.ephemeral import Ephemeral, EphemeralPolicy

CHAT = {"model": "m", "messages": []}


async def run(exchange: Exchange) -> testing.FakeUpstream:
    upstream = testing.FakeUpstream(testing.chat("hi"))
    await testing.run_stage(Ephemeral(), exchange, upstream)
    return upstream


@pytest.mark.parametrize("word", ["none", "None", "NONE", "  none\t"])
async def test_none_in_any_case_marks_the_exchange_and_answers_so(word: str) -> None:
    exchange = testing.exchange(headers={"X-DAC-Store": word})
    await run(exchange)
    assert exchange.ephemeral
    assert exchange.answer_headers == {"x-dac-store": "none"}
    assert exchange.decisions == [Decision("ephemeral", "ephemeral", "asked for by the client")]


@pytest.mark.parametrize("word", ["", "all", "nonee", "none, none", "true"])
async def test_any_other_word_is_refused_with_the_one_that_is_allowed(word: str) -> None:
    upstream = testing.FakeUpstream(testing.chat("hi"))
    with pytest.raises(Refusal) as refused:
        await testing.run_stage(Ephemeral(), testing.exchange(headers={"X-DAC-Store": word}), upstream)
    assert (refused.value.status, refused.value.code) == (400, "invalid_store")
    assert "'none'" in refused.value.message
    assert upstream.calls == 0


async def test_of_several_headers_none_may_say_anything_else() -> None:
    exchange = testing.exchange()
    exchange.request.headers = CIMultiDict([("x-dac-store", "none"), ("x-dac-store", "all")])
    with pytest.raises(Refusal):
        await run(exchange)


async def test_without_the_header_nothing_changes() -> None:
    exchange = testing.exchange(body=CHAT)
    before = exchange.request.raw
    upstream = await run(exchange)
    assert not exchange.ephemeral
    assert exchange.answer_headers == {}
    assert upstream.seen[0].request.raw == before


async def test_a_tenants_default_needs_no_header() -> None:
    for tenant, marked in (("private", True), ("other", False)):
        exchange = testing.exchange(given=[EphemeralPolicy(tenants=("private",))])
        exchange.tenant = tenant
        await run(exchange)
        assert exchange.ephemeral is marked


@pytest.mark.parametrize(
    ("path", "tells"),
    [("chat/completions", True), ("responses", True), ("completions", False), ("embeddings", False)],
)
async def test_the_upstream_is_told_where_its_api_has_a_word_for_it(path: str, tells: bool) -> None:
    body = {"model": "m", "store": True}
    exchange = testing.exchange(f"/v1/{path}", body=body, headers={"X-DAC-Store": "none"})
    upstream = await run(exchange)
    assert upstream.seen[0].request.body == {"model": "m", "store": not tells}


async def test_an_endpoint_without_a_body_we_read_is_marked_all_the_same() -> None:
    exchange = testing.exchange("/v1/files", headers={"X-DAC-Store": "none"})
    await run(exchange)
    assert exchange.ephemeral


def test_the_plan_marks_the_exchange_so_that_the_next_plans_know() -> None:
    exchange = testing.exchange(headers={"X-DAC-Store": "none"}, given=[EphemeralPolicy()])
    assert Ephemeral().plan(exchange).action == "ephemeral"
    assert exchange.ephemeral


def test_it_may_not_be_skipped() -> None:
    assert Ephemeral.skippable is False
