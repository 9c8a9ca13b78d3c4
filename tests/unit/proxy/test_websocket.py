"""A WebSocket's handshake goes to the upstream with its key, and its messages are forgotten."""

from typing import Any, cast

import pytest
from mitmproxy import http
from mitmproxy.test import tflow

from penstock import testing
from penstock.chain import Chain
from penstock.errors import Refusal
from penstock.gateway import Gateway
from penstock.proxy import websocket
from penstock.upstream.policy import Auth, Upstream, UpstreamsPolicy


class _House:
    """As much of a gateway as a handshake asks for."""

    def __init__(self, **settings: Any) -> None:
        main = Upstream(url="https://main.invalid:8443/base", **settings)
        fast = Upstream(url="http://fast.invalid/v1", models={"fast": "fast-1"})
        policy = UpstreamsPolicy(default="main", upstreams={"main": main, "fast": fast})
        self.policies = testing.policies(policy)
        self.chain = Chain({})


def handshake(path: str = "/v1/realtime?model=m&x=%41", *more: tuple[bytes, bytes]) -> http.HTTPFlow:
    flow = tflow.tflow()
    flow.request.path = path
    flow.request.headers = http.Headers(
        [
            (b"Host", b"gateway"),
            (b"Connection", b"Upgrade"),
            (b"Upgrade", b"WebSocket"),
            (b"Sec-WebSocket-Key", b"abc"),
            (b"Sec-WebSocket-Protocol", b"realtime"),
            (b"Authorization", b"Bearer sk-client"),
            (b"X-DAC-Store", b"none"),
            *more,
        ]
    )
    return flow


def send(flow: http.HTTPFlow, **settings: Any) -> http.Headers:
    websocket.send_upstream(flow, cast(Gateway, _House(**settings)))
    return flow.request.headers


def test_an_upgrade_is_told_by_its_header_in_any_case() -> None:
    assert websocket.is_upgrade(handshake())
    assert not websocket.is_upgrade(tflow.tflow())


def test_the_handshake_is_pointed_at_the_upstream_with_its_host_and_without_what_is_ours() -> None:
    headers = send(flow := handshake())
    assert (flow.request.scheme, flow.request.host, flow.request.port) == ("https", "main.invalid", 8443)
    assert flow.request.path == "/base/realtime?model=m&x=%41"
    assert headers["host"] == "main.invalid:8443"
    assert headers["authorization"] == "Bearer sk-client"
    assert (headers["connection"], headers["upgrade"]) == ("Upgrade", "WebSocket")
    assert (headers["sec-websocket-key"], headers["sec-websocket-protocol"]) == ("abc", "realtime")
    assert "x-dac-store" not in headers


def test_a_configured_key_replaces_the_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_TEST_KEY", "sk-ours")
    headers = send(handshake(), auth=Auth(key="env:PENSTOCK_TEST_KEY"))
    assert headers["authorization"] == "Bearer sk-ours"
    assert b"sk-client" not in bytes(headers)


def test_the_model_in_the_query_chooses_the_upstream() -> None:
    send(flow := handshake("/v1/realtime?model=fast"))
    assert (flow.request.scheme, flow.request.host, flow.request.port) == ("http", "fast.invalid", 80)
    assert flow.request.headers["host"] == "fast.invalid"


def test_a_path_that_climbs_is_refused() -> None:
    with pytest.raises(Refusal):
        send(handshake("/v1/%2e%2e/admin"))


def test_messages_that_have_gone_through_are_forgotten() -> None:
    flow = tflow.twebsocketflow()
    assert flow.websocket is not None
    last = flow.websocket.messages[-1]
    websocket.forget_messages(flow, but_last=True)
    assert flow.websocket.messages == [last]
    websocket.forget_messages(flow, but_last=False)
    assert flow.websocket.messages == []
    websocket.forget_messages(tflow.tflow(), but_last=False)


@pytest.mark.parametrize("path", ["/v1/dac/feedback", "/v1/%64ac/x?model=m"])
def test_the_gateways_own_paths_go_to_no_upstream(path: str) -> None:
    flow = handshake(path)
    with pytest.raises(Refusal) as refused:
        send(flow)
    assert (refused.value.status, refused.value.code) == (404, "not_found")
    assert flow.request.path == path
