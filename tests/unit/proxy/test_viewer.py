"""Reviewers see what was sent and received and why, never a key, and nothing of what must be forgotten."""

import pytest
from mitmproxy import http
from mitmproxy.test import tflow

from penstock import testing
from penstock.exchange import Exchange, Sent
from penstock.proxy import viewer

KEYS = "Authorization api-key X-API-Key Proxy-Authorization Cookie".split()


def a_flow() -> http.HTTPFlow:
    flow = tflow.tflow(resp=True)
    flow.request.path = "/v1/chat/completions?marker=1"
    fields = [(name.encode(), b"sk-secret") for name in KEYS]
    fields += [(b"cookie", b"sk-secret"), (b"X-Marker", b"1"), (b"Content-Length", b"3"), (b"Host", b"h")]
    flow.request.headers = http.Headers(fields)
    flow.request.data.content = b""
    return flow


def test_the_clients_keys_are_hidden_and_the_rest_stays() -> None:
    flow = a_flow()
    viewer.hide_secrets(flow, forget=False)
    assert b"sk-secret" not in bytes(flow.request.headers)
    assert all(flow.request.headers[name] == "[removed]" for name in KEYS)
    assert flow.request.headers["x-marker"] == "1"
    assert flow.request.path == "/v1/chat/completions?marker=1"


def test_to_forget_leaves_only_what_frames_the_message() -> None:
    flow = a_flow()
    viewer.hide_secrets(flow, forget=True)
    rest = {name.lower() for name in flow.request.headers} - {name.lower() for name in KEYS}
    assert rest == {"content-length", "host"}
    assert "marker" not in flow.request.path
    assert b"sk-secret" not in bytes(flow.request.headers)


def exchange(*, ephemeral: bool = False) -> Exchange:
    made = testing.exchange()
    made.ephemeral = ephemeral
    made.decide("cache", "miss")
    made.decide("upstream", "call", "main")
    if not ephemeral:
        made.sent = Sent("POST", "http://h/v1", b"redacted request")
        made.received += b"answer as received"
    return made


def test_an_ended_flow_shows_both_bodies_and_the_trace() -> None:
    flow = a_flow()
    viewer.show(flow, made := exchange())
    assert flow.request.content == b"redacted request"
    assert flow.response is not None
    assert flow.response.content == b"answer as received"
    assert flow.comment == "cache: miss · upstream: call"
    assert flow.metadata["penstock"] == {
        "id": made.id,
        "tenant": "default",
        "decisions": [["cache", "miss", ""], ["upstream", "call", "main"]],
    }


def test_of_an_ephemeral_exchange_only_that_it_was_there() -> None:
    flow = a_flow()
    viewer.show(flow, exchange(ephemeral=True))
    assert flow.request.path == "/[ephemeral]"
    assert flow.request.content == b""
    assert flow.metadata["penstock"]["decisions"] == [["cache", "miss", ""], ["upstream", "call", ""]]


@pytest.mark.parametrize("response", [True, False])
def test_an_exchange_that_sent_nothing_shows_no_body(response: bool) -> None:
    flow = a_flow()
    if not response:
        flow.response = None
    viewer.show(flow, testing.exchange())
    assert flow.request.content == b""
    assert "penstock" in flow.metadata
