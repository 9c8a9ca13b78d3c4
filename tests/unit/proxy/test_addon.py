"""The entrance refuses what breaks, rather than letting mitmproxy send it on as it is."""

import json
from typing import Any, cast

import pytest
from mitmproxy import http
from mitmproxy.test import tflow

from penstock import testing
from penstock.chain import Chain
from penstock.exchange import Sent
from penstock.proxy.addon import Entrance
from penstock.proxy.door import FlowDoor


class _House:
    """As much of a gateway as an entrance asks for."""

    max_request_bytes = 1000

    def __init__(self) -> None:
        self.policies = testing.policies()
        self.chain = Chain({})


def entrance(*, inspected: bool = False, house: Any = None) -> tuple[Entrance, FlowDoor]:
    door = FlowDoor(cast(Any, house or _House()), inspected=inspected)
    return Entrance(door), door


def a_flow(path: str = "/v1/chat/completions", **headers: str) -> http.HTTPFlow:
    flow = tflow.tflow()
    flow.request.method, flow.request.path = "POST", path
    flow.request.headers.update(headers)
    return flow


def told(flow: http.HTTPFlow) -> tuple[int, Any]:
    assert flow.response is not None
    return flow.response.status_code, json.loads(flow.response.content or b"")


def test_health_is_answered_at_the_door() -> None:
    addon, door = entrance()
    addon.requestheaders(flow := a_flow("/healthz"))
    addon.request(flow)
    assert told(flow) == (200, {"status": "ok"})
    assert door.conversation(flow) is None


def test_a_request_begins_a_conversation_and_its_body_is_taken() -> None:
    addon, door = entrance()
    flow = a_flow()
    flow.request.content = b'{"model":"m"}'
    addon.requestheaders(flow)
    addon.request(flow)
    conversation = door.conversation(flow)
    assert conversation is not None
    assert conversation.exchange.request.body == {"model": "m"}
    assert flow.request.content == b""
    assert flow.response is None


def test_a_websocket_that_may_not_pass_is_refused() -> None:
    addon, _ = entrance()
    addon.requestheaders(flow := a_flow("/v1/../admin", upgrade="websocket"))
    status, body = told(flow)
    assert (status, body["error"]["code"]) == (400, "invalid_path")


def test_a_hook_that_breaks_refuses_the_flow_and_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    addon, _ = entrance(house=object())
    addon.requestheaders(flow := a_flow())
    status, body = told(flow)
    assert (status, body["error"]["code"]) == (500, "internal_error")
    assert "the flow is refused" in caplog.text


@pytest.mark.parametrize("hook", ["response", "error"])
@pytest.mark.parametrize("inspected", [True, False])
def test_an_ended_flow_is_shown_only_where_somebody_looks(hook: str, inspected: bool) -> None:
    addon, door = entrance(inspected=inspected)
    addon.requestheaders(flow := a_flow())
    conversation = door.conversation(flow)
    assert conversation is not None
    conversation.exchange.sent = Sent("POST", "u", b"as sent")
    getattr(addon, hook)(flow)
    assert ("penstock" in flow.metadata) is inspected
    assert (flow.request.content == b"as sent") is inspected


def test_the_key_of_a_websockets_handshake_is_hidden_once_it_is_out() -> None:
    addon, _ = entrance()
    addon.requestheaders(flow := a_flow(upgrade="websocket", authorization="Bearer sk-1"))
    assert flow.response is None
    assert flow.request.headers["authorization"] == "Bearer sk-1"
    addon.responseheaders(flow)
    assert flow.request.headers["authorization"] == "[removed]"


def test_of_a_websockets_messages_only_the_one_on_its_way_is_there() -> None:
    addon, _ = entrance()
    flow = tflow.twebsocketflow()
    assert flow.websocket is not None
    addon.websocket_message(flow)
    assert len(flow.websocket.messages) == 1
    addon.websocket_end(flow)
    assert flow.websocket.messages == []
