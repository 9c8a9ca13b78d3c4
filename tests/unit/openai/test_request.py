"""Requests: which endpoint, what JSON, whose bytes."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from penstock.errors import Refusal
from penstock.openai.request import Endpoint, Request, keep_own, parse_body, route


@pytest.mark.parametrize(
    ("method", "path", "endpoint", "below"),
    [
        ("POST", "/v1/chat/completions", Endpoint.CHAT, "/chat/completions"),
        ("POST", "/chat/completions", Endpoint.CHAT, "/chat/completions"),
        ("GET", "/v1/chat/completions", Endpoint.OTHER, "/chat/completions"),
        ("POST", "/v1/responses", Endpoint.RESPONSES, "/responses"),
        ("GET", "/v1/responses/resp_1", Endpoint.OTHER, "/responses/resp_1"),
        ("POST", "/v1/completions", Endpoint.COMPLETIONS, "/completions"),
        ("POST", "/v1/embeddings", Endpoint.EMBEDDINGS, "/embeddings"),
        ("GET", "/v1/models", Endpoint.MODELS, "/models"),
        ("POST", "/v1beta/models", Endpoint.OTHER, "/v1beta/models"),
        ("POST", "/v1", Endpoint.OTHER, ""),
        ("POST", "/v1/files/a..b", Endpoint.OTHER, "/files/a..b"),
    ],
)
def test_routes(method, path, endpoint, below):
    assert route(method, path) == (endpoint, below)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/../admin",
        "/v1/%2e%2e/admin",
        "/v1/%2E./x",
        "/v1/a%2f..%2fb",
        "/v1/..\\x",
        "/v1/%5c..",
        "/v1/./models",
        "..",
    ],
)
def test_no_path_climbs(path):
    with pytest.raises(Refusal) as refused:
        route("GET", path)
    assert (refused.value.status, refused.value.code) == (400, "invalid_path")


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (b'{\n  "secret": ?\n}', "line 2, column 13 (byte 14)"),
        (b'{"a": ', "line 1, column 7"),
        (b"", "line 1, column 1"),
        (b'{"a":1} x', "trailing characters"),
        (b'{"a":"\xff"}', "not UTF-8"),
        (b"[1]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b'{"a":' * 100_000, "nested too deeply"),
    ],
)
def test_a_broken_body_is_refused_with_its_place(raw, place):
    with pytest.raises(Refusal) as refused:
        parse_body(raw)
    assert (refused.value.status, refused.value.code) == (400, "invalid_json")
    assert place in refused.value.message
    assert "secret" not in refused.value.message


@given(st.binary(max_size=60))
def test_no_bytes_break_the_parser(raw):
    try:
        body = parse_body(raw)
    except Refusal:
        return
    assert isinstance(body, dict)


def request(raw: bytes) -> Request:
    return Request("POST", "/chat/completions", "", CIMultiDict(), Endpoint.CHAT, parse_body(raw), _raw=raw)


def test_an_unchanged_request_keeps_its_bytes():
    raw = b'{ "model" : "m",\t"n":1.0 }'
    assert request(raw).raw == raw


def test_a_changed_request_has_new_bytes_and_leaves_the_old_alone():
    old = request(b'{"model": "m"}')
    new = old.with_fields(model="other", stream=True)
    assert (new.model, new.stream) == ("other", True)
    assert msgspec.json.decode(new.raw) == {"model": "other", "stream": True}
    assert (old.model, old.stream, old.raw) == ("m", False, b'{"model": "m"}')


@pytest.mark.parametrize(
    ("raw", "model", "stream"),
    [
        (b"{}", None, False),
        (b'{"model": 3, "stream": 1}', None, False),
        (b'{"model":"","stream":null}', "", False),
    ],
)
def test_odd_fields(raw, model, stream):
    assert (request(raw).model, request(raw).stream) == (model, stream)


def test_a_request_without_a_body():
    bare = Request("GET", "/models", "", CIMultiDict(), Endpoint.MODELS)
    assert (bare.raw, bare.model, bare.stream) == (b"", None, False)


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/dac/feedback", "/dac/feedback", "/v1/dac", "/v1/dac/", "/v1/dac/other"),
        *("/v1/DAC/feedback", "/v1/%64ac/feedback", "/v1/dac%2Ffeedback", "/v1//dac/feedback"),
        *("/v1/v1/dac/feedback", "/v1/dac;x/feedback", "/v1\\dac\\feedback", "/v1%2fdac/feedback"),
    ],
)
def test_the_gateways_own_paths_are_known_in_any_writing(path):
    _, below = route("POST", path)
    with pytest.raises(Refusal) as refused:
        keep_own(below)
    assert (refused.value.status, refused.value.code) == (404, "not_found")


@pytest.mark.parametrize(
    "path", ["/v1/dacs", "/v1/files/dac", "/v1/xdac/feedback", "/v1/d%61ta", "/v1", "/v1/"]
)
def test_paths_that_only_look_like_it_are_the_upstreams(path):
    keep_own(route("POST", path)[1])
