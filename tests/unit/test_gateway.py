"""The gateway answers whatever happens, and closes the books on it."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from penstock import testing
from penstock.chain import Chain, ChainPolicy
from penstock.errors import Refusal, StartError
from penstock.exchange import Exchange
from penstock.gateway import Gateway
from penstock.policy.problems import PolicyProblems
from penstock.reply import Reply
from penstock.settings import Settings, shipped_policies
from penstock.telemetry.log import LineWriter
from penstock.upstream import failures
from penstock.upstream.policy import UpstreamsPolicy


def settings(state: Path, policies: Path | None = None, upstream: str | None = None) -> Settings:
    return Settings(policies or shipped_policies(), state, f"sqlite:///{state / 'penstock.db'}", upstream)


class _Lines(LineWriter):
    """Keeps the lines of the log."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def put(self, line: str) -> None:
        self.lines.append(json.loads(line))


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> _Lines:
    caplog.set_level(logging.INFO, "penstock")
    return _Lines()


@pytest.fixture
async def gateway(tmp_path: Path, log: _Lines) -> AsyncIterator[Gateway]:
    gateway = Gateway(settings(tmp_path), writer=log)
    await gateway.start()
    chain = gateway.chain
    yield gateway
    gateway.chain = chain
    await gateway.close()


class _Answering(Chain):
    """A chain that only has this to say."""

    def __init__(self, answer: Reply | Exception) -> None:
        super().__init__({})
        self._answer = answer

    async def answer(self, exchange: Exchange) -> Reply:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


async def answer(gateway: Gateway, says: Reply | Exception, exchange: Exchange) -> Reply:
    gateway.chain = _Answering(says)
    return await gateway.answer(exchange)


async def test_an_answer_carries_the_request_id_and_what_the_stages_tell_the_client(gateway: Gateway) -> None:
    exchange = testing.exchange()
    exchange.answer_headers["x-dac-cache"] = "miss"
    reply = await answer(gateway, testing.chat("hi")(), exchange)
    assert reply.headers["x-request-id"] == exchange.id
    assert reply.headers["x-dac-cache"] == "miss"


async def test_the_upstreams_own_request_id_stays(gateway: Gateway) -> None:
    says = Reply(200)
    says.headers["X-Request-Id"] = "req_upstream"
    assert (await answer(gateway, says, testing.exchange())).headers["x-request-id"] == "req_upstream"


async def test_a_refusal_is_an_answer_with_what_the_stages_said_until_then(gateway: Gateway) -> None:
    exchange = testing.exchange()
    exchange.answer_headers["x-dac-store"] = "none"
    refusal = Refusal(429, "slow_down", "Later.", headers={"retry-after": "3"})
    reply = await answer(gateway, refusal, exchange)
    assert reply.status == 429
    assert json.loads(reply.body) == refusal.shape()
    assert reply.headers["retry-after"] == "3"
    assert reply.headers["x-dac-store"] == "none"
    assert exchange.error_code == "slow_down"


async def test_what_was_wrong_before_the_chain_never_reaches_it(gateway: Gateway) -> None:
    gateway.chain = _Answering(AssertionError("called"))
    reply = await gateway.answer(testing.exchange(), Refusal(400, "invalid_json", "No."))
    assert (reply.status, json.loads(reply.body)["error"]["code"]) == (400, "invalid_json")


async def test_a_bug_of_ours_is_a_500_that_tells_nothing(gateway: Gateway) -> None:
    exchange = testing.exchange()
    reply = await answer(gateway, ZeroDivisionError("sk-secret"), exchange)
    assert reply.status == 500
    assert b"secret" not in reply.body
    assert exchange.error_code == "internal_error"


@pytest.mark.parametrize(
    ("ending", "read", "error"),
    [
        (None, True, None),
        (failures.truncated(), True, "upstream_stream_truncated"),
        (None, False, "client_left"),
    ],
)
async def test_the_books_say_how_a_stream_ended(
    gateway: Gateway,
    log: _Lines,
    ending: Exception | None,
    read: bool,
    error: str | None,
) -> None:
    exchange = testing.exchange(body={"model": "m", "stream": True})
    reply = await answer(gateway, testing.chat_stream("a", ending=ending)(), exchange)
    if read:
        await testing.read(reply)
    await reply.aclose()
    gateway.close_books(exchange, reply)
    (line,) = log.lines
    assert (line["id"], line.get("error")) == (exchange.id, error)


async def test_a_client_that_left_before_its_answer_is_in_the_books_too(
    gateway: Gateway, log: _Lines
) -> None:
    gateway.close_books(testing.exchange(), None)
    (line,) = log.lines
    assert (line["status"], line["error"]) == (499, "client_left")


async def test_the_command_lines_upstream_replaces_the_default_ones_url_only(tmp_path: Path) -> None:
    files = Gateway(settings(tmp_path)).policies[UpstreamsPolicy]
    told = Gateway(settings(tmp_path, upstream="http://localhost:11434/v1/")).policies[UpstreamsPolicy]
    assert told.upstreams[told.default].url == "http://localhost:11434/v1"
    assert told == files.at("http://localhost:11434/v1")


@pytest.mark.parametrize("url", ["localhost:11434", "ftp://host/v1", "http://", "http://u:p@host/v1"])
async def test_an_upstream_that_is_no_url_stops_the_start(tmp_path: Path, url: str) -> None:
    with pytest.raises(StartError, match="--upstream"):
        Gateway(settings(tmp_path, upstream=url))


async def test_only_names_the_stages_that_run(tmp_path: Path) -> None:
    gateway = Gateway(settings(tmp_path), only=("cache", "upstream"))
    assert gateway.policies[ChainPolicy].order == ("cache", "upstream")


async def test_bad_policies_stop_the_start_with_all_that_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "cache.yaml").write_text("ttl_s: yes\nnothing: 1\n")
    with pytest.raises(PolicyProblems) as problems:
        Gateway(settings(tmp_path, policies=tmp_path))
    assert "ttl_s" in str(problems.value)
    assert "nothing" in str(problems.value)


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - the reloader's own thread decides when
            await asyncio.sleep(0.01)


async def test_a_reload_takes_a_good_set_and_keeps_the_old_one_from_a_bad_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    file = folder / "chain.yaml"
    file.write_text("order: [identify, upstream]\n")
    gateway = Gateway(settings(tmp_path, policies=folder, upstream="http://mine.invalid/v1"))
    kept = gateway.policies
    await gateway.start()

    file.write_text("order: [upstream]\n")
    gateway.reload()
    await _until(lambda: gateway.policies is not kept)
    assert gateway.policies[ChainPolicy].order == ("upstream",)
    upstreams = gateway.policies[UpstreamsPolicy]
    assert upstreams.upstreams[upstreams.default].url == "http://mine.invalid/v1"
    assert kept[ChainPolicy].order == ("identify", "upstream"), "an exchange keeps the set it started with"

    file.write_text("order: [upstream, nothing]\n")
    gateway.reload()
    await _until(lambda: "policies refused" in caplog.text)
    assert gateway.policies[ChainPolicy].order == ("upstream",)
    await gateway.close()


_KEYED = {
    "tenants": "tenants:\n  acme:\n    limits:\n      - {unit: tokens, window: day, limit: 5}\n",
    "upstreams": "default: one\nupstreams:\n  one: {url: 'http://one.invalid/v1', auth: {style: none}}\n",
}


def written(folder: Path, order: str) -> Path:
    folder.mkdir()
    for name, text in {**_KEYED, "chain": f"order: [{order}]\n"}.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("order", "missing"),
    [
        ("cache, budget, upstream", "'identify' must be in the chain, since tenants.yaml has tenants"),
        ("identify, cache, upstream", "'budget' must be in the chain, since tenants.yaml has limits"),
    ],
)
def test_a_chain_may_not_leave_out_who_holds_what_the_policies_say(
    tmp_path: Path, order: str, missing: str
) -> None:
    with pytest.raises(PolicyProblems, match=missing):
        Gateway(settings(tmp_path, written(tmp_path / "policies", order)))


def test_one_stage_alone_is_refused_for_the_same_reason(tmp_path: Path) -> None:
    policies = written(tmp_path / "policies", "identify, budget, upstream")
    with pytest.raises(StartError, match=r"must run too, since tenants\.yaml has"):
        Gateway(settings(tmp_path, policies), only=["cache"])
