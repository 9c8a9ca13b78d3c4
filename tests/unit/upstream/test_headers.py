"""Only what is meant for the other side crosses, and only the key that belongs there."""

from typing import Any

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from penstock import testing
from penstock.exchange import Exchange
from penstock.upstream.headers import CREDENTIALS, to_client, to_upstream
from penstock.upstream.policy import Auth


def sent(
    *given: tuple[str, str],
    auth: Auth | None = None,
    key: str | None = None,
    extra: dict[str, str] | None = None,
    path: str = "/v1/chat/completions",
    client_key: str | None = None,
) -> CIMultiDict[str]:
    exchange: Exchange = testing.exchange(path)
    exchange.request.headers = CIMultiDict(given)
    exchange.client_key = client_key
    return to_upstream(exchange, auth or Auth(), key, extra or {})


def received(*given: tuple[str, str], decoded: bool = True) -> CIMultiDict[str]:
    return to_client(CIMultiDictProxy(CIMultiDict(given)), decoded=decoded)


def test_what_the_client_says_about_its_request_goes_on_in_its_order_and_repeated() -> None:
    given = [("OpenAI-Beta", "a"), ("User-Agent", "sdk"), ("openai-beta", "b"), ("Content-Type", "text/x")]
    assert list(sent(*given).items())[:4] == given


HOP = """
    Connection Keep-Alive Proxy-Connection Transfer-Encoding TE Trailer Upgrade Host Content-Length Expect
""".split()


@pytest.mark.parametrize("name", HOP)
def test_what_belongs_to_one_connection_stays_on_it(name: str) -> None:
    assert name not in sent((name, "x"))
    assert name not in received((name, "x"))


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/files"])
def test_what_connection_names_stays_too_however_it_is_written(path: str) -> None:
    given = [("Connection", "close, X-One"), ("connection", " x-two ,")]
    given += [("X-One", "1"), ("X-TWO", "2"), ("X-3", "3")]
    for crossed in (sent(*given, path=path), received(*given)):
        assert "x-one" not in crossed
        assert "x-two" not in crossed
        assert crossed["x-3"] == "3"


@pytest.mark.parametrize(
    "name", ["X-DAC-Store", "x-dac-anything", "X-Forwarded-For", "Forwarded", "Via", "X-Real-IP", "Cookie"]
)
def test_neither_our_own_headers_nor_who_the_client_is_go_upstream(name: str) -> None:
    assert name not in sent((name, "x"))
    assert name not in sent((name, "x"), path="/v1/files")


def credentials(headers: CIMultiDict[str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items() if name.lower() in CREDENTIALS}


CLIENTS = [
    ("Authorization", "Bearer sk-client"),
    ("api-key", "sk-client"),
    ("x-api-key", "sk-client"),
    ("Proxy-Authorization", "Basic sk-client"),
    ("Cookie", "session=sk-client"),
]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/files"])
@pytest.mark.parametrize(
    ("style", "name", "value"),
    [
        ("bearer", "authorization", "Bearer sk-ours"),
        ("api-key", "api-key", "sk-ours"),
        ("x-api-key", "x-api-key", "sk-ours"),
    ],
)
def test_a_configured_key_goes_in_its_header_and_the_clients_never(
    path: str, style: Any, name: str, value: str
) -> None:
    headers = sent(*CLIENTS, auth=Auth(style=style), key="sk-ours", client_key="sk-client", path=path)
    assert headers[name] == value
    assert "sk-client" not in str(headers)
    assert credentials(headers) == {name: value}


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("bearer", {"authorization": "Bearer sk-client"}),
        ("api-key", {"api-key": "sk-client"}),
        ("x-api-key", {"x-api-key": "sk-client"}),
        ("none", {}),
    ],
)
def test_the_clients_key_goes_in_the_upstreams_header_where_none_is_configured(
    style: Any, expected: dict[str, str]
) -> None:
    headers = sent(*CLIENTS, auth=Auth(style=style), client_key="sk-client")
    assert credentials(headers) == expected


def test_an_endpoint_we_do_not_understand_gets_the_clients_keys_where_they_stood() -> None:
    headers = sent(*CLIENTS, path="/v1/messages", client_key="sk-client")
    assert headers["x-api-key"] == headers["api-key"] == "sk-client"
    assert headers["authorization"] == "Bearer sk-client"
    assert "cookie" not in headers
    assert "proxy-authorization" not in headers
    assert credentials(sent(*CLIENTS, path="/v1/messages", auth=Auth(style="none"))) == {}


def test_a_configured_header_stands_alone_in_place_of_the_clients() -> None:
    theirs = ("OpenAI-Organization", "theirs"), ("openai-organization", "x")
    headers = sent(*theirs, extra={"openai-organization": "ours"})
    assert headers.getall("openai-organization") == ["ours"]


def test_the_encoding_is_one_that_we_can_read_unless_the_body_passes_as_it_is() -> None:
    given = ("Accept-Encoding", "br, zstd")
    assert sent(given).getall("accept-encoding") == ["gzip, deflate"]
    assert sent(given, path="/v1/files")["accept-encoding"] == "br, zstd"


def test_what_a_provider_says_to_its_client_reaches_the_client() -> None:
    given = [
        ("retry-after", "1"),
        ("x-ratelimit-remaining-tokens", "5"),
        ("x-request-id", "req_1"),
        ("openai-processing-ms", "7"),
        ("content-type", "application/json"),
        ("x-many", "a"),
        ("x-many", "b"),
    ]
    assert list(received(*given).items()) == given


@pytest.mark.parametrize(
    "name", ["Set-Cookie", "Alt-Svc", "Strict-Transport-Security", "Proxy-Authenticate", "X-DAC-Cache"]
)
def test_what_it_says_about_its_own_host_or_in_our_name_does_not(name: str) -> None:
    assert name not in received((name, "x"))


def test_the_encoding_is_named_only_where_the_bytes_still_have_it() -> None:
    assert "content-encoding" not in received(("Content-Encoding", "gzip"), decoded=True)
    assert received(("Content-Encoding", "gzip"), decoded=False)["content-encoding"] == "gzip"
