"""upstream sends what the client asked, in the provider's words, and gives only answers that are answers."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from fake_response import HANG, FakeResponse, Read
from multidict import CIMultiDict
from yarl import URL

from penstock import testing
from penstock.errors import Refusal, StartError
from penstock.exchange import Exchange
from penstock.openai import sse, wire_json
from penstock.reply import Reply
from penstock.stages.upstream import Upstream
from penstock.upstream.client import Client, Connection
from penstock.upstream.policy import Auth, UpstreamsPolicy
from penstock.upstream.policy import Upstream as Settings

JSON = {"content-type": "application/json"}
EVENTS = {"content-type": "text/event-stream"}
STREAM = {"model": "m", "messages": [], "stream": True}
A = testing.chunk({"content": "a"}).raw
STOP = testing.chunk({}, "stop").raw
USAGE = sse.encode({"id": "c", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5}}).raw
DONE = sse.done().raw
PLAIN = testing.chat("hi")().body


class FakeClient(Client):
    """Answers with one response and keeps what was sent."""

    def __init__(self, response: FakeResponse | Exception) -> None:
        self.response = response
        self.method, self.url = "", URL()
        self.headers: CIMultiDict[str] = CIMultiDict()
        self.body: Any = None
        self.decompress: bool | None = None

    async def call(  # type: ignore[override]
        self, connection: Connection, method: str, url: URL, headers: Any, body: Any, **more: Any
    ) -> FakeResponse:
        self.method, self.url, self.headers, self.body = method, url, headers, body
        self.decompress = more["decompress"]
        if isinstance(self.response, Exception):
            raise self.response
        return self.response

    async def close(self) -> None:
        """Hold nothing."""


def asks(
    body: Mapping[str, Any] | None = None, path: str = "/v1/chat/completions", **settings: Any
) -> Exchange:
    policy = UpstreamsPolicy(
        default="main", upstreams={"main": Settings(url="http://h.invalid/base", provider="acme", **settings)}
    )
    return testing.exchange(path, body=body, given=[policy])


async def call(
    exchange: Exchange,
    reads: list[Read] | None = None,
    status: int = 200,
    headers: Mapping[str, str] = JSON,
) -> tuple[FakeClient, Reply]:
    client = FakeClient(FakeResponse([PLAIN] if reads is None else reads, status=status, headers=headers))
    return client, await answer(exchange, client)


async def answer(exchange: Exchange, client: FakeClient) -> Reply:
    stage = Upstream()
    stage._client, stage._connections = client, {}
    return await stage.answer(exchange, testing.FakeUpstream())


# What goes out


async def test_the_request_goes_to_the_upstream_that_the_model_belongs_to() -> None:
    exchange = asks(
        {"model": "fast", "messages": []}, "/v1/chat/completions?x=%41", models={"fast": "fast-2025"}
    )
    client, _ = await call(exchange)
    assert (client.method, str(client.url)) == ("POST", "http://h.invalid/base/chat/completions?x=%41")
    assert json.loads(client.body)["model"] == "fast-2025"
    assert (exchange.upstream, exchange.provider, exchange.model, exchange.attempts) == (
        "main",
        "acme",
        "fast-2025",
        1,
    )
    assert exchange.answer_headers == {
        "x-dac-upstream": "main",
        "x-dac-attempts": "1",
        "x-dac-model": "fast-2025",
    }


@pytest.mark.parametrize("model", ["ünknown", "a\nb: c", "", "half \ud83d"])
async def test_a_model_that_no_header_can_hold_is_told_in_none(model: str) -> None:
    exchange = asks({"model": model, "messages": []})
    await call(exchange)
    assert "x-dac-model" not in exchange.answer_headers


async def test_each_attempt_is_counted() -> None:
    exchange = asks()
    await call(exchange)
    await call(exchange)
    assert exchange.answer_headers["x-dac-attempts"] == "2"


@pytest.mark.parametrize("path", ["/v1/dac/feedback", "/v1/dac", "/v1/%64ac/x"])
async def test_the_gateways_own_paths_are_never_sent(path: str) -> None:
    exchange, client = asks(path=path), FakeClient(AssertionError("called"))
    with pytest.raises(Refusal) as refused:
        await answer(exchange, client)
    assert (refused.value.status, refused.value.code) == (404, "not_found")
    assert (exchange.attempts, exchange.decisions, exchange.answer_headers) == (0, [], {})


async def test_a_configured_key_and_headers_go_along_and_are_read_by_accept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PENSTOCK_TEST_KEY", "sk-ours")
    exchange = asks(auth=Auth(key="env:PENSTOCK_TEST_KEY"), headers={"x-org": "o"})
    exchange.client_key = "sk-client"
    Upstream().accept(exchange.policies)
    client, _ = await call(exchange)
    assert client.headers["authorization"] == "Bearer sk-ours"
    assert client.headers["x-org"] == "o"
    monkeypatch.delenv("PENSTOCK_TEST_KEY")
    with pytest.raises(StartError):
        Upstream().accept(exchange.policies)
    with pytest.raises(Refusal) as refused:
        await call(exchange)
    assert refused.value.code == "upstream_misconfigured"


@pytest.mark.parametrize(
    ("given", "goes"),
    [
        ({}, {"include_usage": True}),
        ({"stream_options": None}, {"include_usage": True}),
        ({"stream_options": {"include_usage": False, "x": 1}}, {"include_usage": True, "x": 1}),
        ({"stream_options": {"include_usage": True}}, {"include_usage": True}),
        ({"stream_options": "odd"}, "odd"),
    ],
)
async def test_the_usage_of_a_stream_is_asked_for(given: dict[str, Any], goes: Any) -> None:
    client, _ = await call(asks({**STREAM, **given}), [A + STOP + DONE], headers=EVENTS)
    assert json.loads(client.body)["stream_options"] == goes


@pytest.mark.parametrize(
    ("path", "body", "settings"),
    [
        ("/v1/chat/completions", {"model": "m"}, {}),
        ("/v1/responses", {"model": "m", "stream": True}, {}),
        ("/v1/chat/completions", STREAM, {"stream_usage": False}),
    ],
)
async def test_and_of_nothing_else(path: str, body: dict[str, Any], settings: dict[str, Any]) -> None:
    client, _ = await call(asks(body, path, **settings), [PLAIN])
    assert json.loads(client.body) == body


async def test_usage_that_we_asked_for_is_hidden_and_noted_and_usage_the_client_asked_for_is_not_hidden() -> (
    None
):
    for options, shown in ((None, False), ({"include_usage": True}, True)):
        exchange = asks({**STREAM, "stream_options": options})
        _, reply = await call(exchange, [A, STOP, USAGE + DONE], headers=EVENTS)
        assert await testing.read(reply) == A + STOP + (USAGE if shown else b"") + DONE
        assert exchange.usage is not None
        assert (exchange.usage.input_tokens, exchange.usage.output_tokens) == (3, 5)


# What comes back


async def test_a_plain_answer_is_the_upstreams_own_bytes() -> None:
    body = b' {"id" : "x",\n "n": 1.0, "usage": {"prompt_tokens": 4}} '
    exchange = asks()
    _, reply = await call(exchange, [body[:9], body[9:]])
    assert (reply.status, reply.body) == (200, body)
    assert exchange.usage is not None
    assert exchange.usage.input_tokens == 4


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
async def test_an_error_in_json_goes_on_with_its_status_and_headers(status: int) -> None:
    body = b'{"error": {"message": "no"}}'
    headers = {**JSON, "retry-after": "2", "x-ratelimit-limit-requests": "9", "openai-version": "x"}
    _, reply = await call(asks(STREAM), [body], status, headers)
    assert (reply.status, reply.body) == (status, body)
    assert reply.headers == CIMultiDict(headers)


@pytest.mark.parametrize(
    "body",
    [
        b"<html><body>502 in /srv/app/worker.py</body></html>",
        b"",
        b"[]",
        b'"text"',
        b'{"error": "Traceback (most recent call last): x"}',
        b'{"error": {"message": "in /usr/lib/python3/site.py"}}',
        b'{"error": {"message": "C:\\\\Users\\\\x"}}',
        b'{"error": {"message": "File \\"/app/x.py\\", line 1"}}',
    ],
)
async def test_an_error_that_is_no_json_or_shows_the_servers_inside_becomes_ours(body: bytes) -> None:
    headers = {"content-type": "text/html", "content-language": "en", "retry-after": "2", "x-request-id": "r"}
    with pytest.raises(Refusal) as refused:
        await call(asks(), [body], 502, headers)
    assert (refused.value.status, refused.value.code) == (502, "upstream_error")
    assert refused.value.headers == {"retry-after": "2", "x-request-id": "r"}
    assert b"srv" not in refused.value.body()


@pytest.mark.parametrize(("status", "body"), [(200, b"<html>"), (200, b"[]"), (302, b""), (204, b"")])
async def test_a_success_that_is_no_json_object_is_a_502(status: int, body: bytes) -> None:
    with pytest.raises(Refusal) as refused:
        await call(asks(), [body], status)
    assert (refused.value.status, refused.value.code) == (502, "upstream_invalid_answer")


async def test_a_path_in_an_answer_that_is_no_error_is_the_models_business() -> None:
    body = wire_json.encode({"choices": [{"message": {"content": "see /usr/lib/python3/site.py"}}]})
    assert (await call(asks(), [body]))[1].body == body


@pytest.mark.parametrize(
    ("content_type", "body", "streams"),
    [
        ("text/event-stream", STREAM, True),
        ("Text/Event-Stream; charset=utf-8", STREAM, True),
        ("text/event-stream", {"model": "m"}, True),
        ("text/plain", STREAM, True),
        ("application/json", STREAM, False),
        ("text/plain", {"model": "m"}, False),
    ],
)
async def test_what_is_a_stream_is_told_by_its_type(
    content_type: str, body: dict[str, Any], streams: bool
) -> None:
    reads: list[Read] = [A + STOP + DONE] if streams else [PLAIN]
    _, reply = await call(asks(body), reads, headers={"content-type": content_type})
    assert (reply.stream is not None) is streams
    if streams:
        assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert await testing.read(reply) == A + STOP + DONE


async def test_a_stream_that_breaks_off_ends_in_one_error() -> None:
    _, reply = await call(asks(STREAM), [A, b""], headers=EVENTS)
    got = await testing.read(reply)
    assert got.startswith(A)
    assert got.count(b'"error"') == 1
    assert got.endswith(b'"code":"upstream_stream_truncated"}}\n\n')


async def test_all_choices_that_were_asked_for_must_end() -> None:
    second = sse.encode({"choices": [{"index": 1, "delta": {}, "finish_reason": "stop"}]}).raw
    _, reply = await call(asks({**STREAM, "n": 2}), [A, STOP], headers=EVENTS)
    assert b"truncated" in await testing.read(reply)
    _, reply = await call(asks({**STREAM, "n": 2}), [A, STOP, second], headers=EVENTS)
    assert await testing.read(reply) == A + STOP + second


async def test_an_endpoint_we_do_not_understand_passes_untouched() -> None:
    exchange = asks(path="/v1/messages")
    exchange.request.take(b'{"model": 1.0}')
    pieces: list[Read] = [b"event: x\ndata: {oops\n\n", b"\xff\x00"]
    headers = {"content-type": "text/event-stream", "content-encoding": "gzip", "content-length": "24"}
    client, reply = await call(exchange, pieces, 418, headers)
    assert client.body == b'{"model": 1.0}'
    assert client.decompress is False
    assert (reply.status, reply.headers) == (418, CIMultiDict(headers))
    assert await testing.read(reply) == b"event: x\ndata: {oops\n\n\xff\x00"


# What a reviewer sees, and what is let go


async def test_a_reviewer_sees_what_was_sent_and_received_without_keys_only_where_somebody_looks() -> None:
    for inspected, ephemeral, shown in ((True, False, True), (True, True, False), (False, False, False)):
        exchange = asks({**STREAM, "user": "u"})
        exchange.inspected, exchange.ephemeral, exchange.client_key = inspected, ephemeral, "sk-secret"
        client, reply = await call(exchange, [A + STOP + DONE], headers=EVENTS)
        await testing.read(reply)
        assert bytes(exchange.received) == (A + STOP + DONE if shown else b"")
        if not shown:
            assert exchange.sent is None
            continue
        assert exchange.sent is not None
        assert exchange.sent.body == client.body
        assert "secret" not in repr(exchange.sent) + repr(exchange.decisions)


async def test_a_plain_answer_that_is_too_large_or_silent_lets_the_connection_go() -> None:
    quick = {"timeouts": {"first_byte_s": 0.01}}
    for reads, settings in (([b"x" * 99], {"max_answer_bytes": 10}), ([HANG], quick)):
        exchange = asks(**settings)
        response = FakeResponse(reads, headers=JSON)
        with pytest.raises(Refusal):
            await answer(exchange, FakeClient(response))
        assert "closed" in response.let_go


async def test_an_upstream_that_can_not_be_called_is_a_refusal_as_it_is() -> None:
    refusal = Refusal(502, "upstream_unreachable", "No.")
    with pytest.raises(Refusal) as refused:
        await answer(asks(), FakeClient(refusal))
    assert refused.value is refusal


def test_the_plan_names_the_upstream_and_the_model_there() -> None:
    plan = Upstream().plan(asks({"model": "fast"}, models={"fast": "fast-2025"}))
    assert (plan.action, plan.reason) == ("call", "main, model fast-2025")
    assert Upstream().plan(asks({})).reason == "main, model -"
    assert Upstream.skippable is False
