"""What mitmproxy's views, dumps and flow files may see of an exchange."""

from typing import Final

from mitmproxy import http

from penstock.exchange import Exchange
from penstock.upstream.headers import CREDENTIALS

_HIDDEN: Final = "[removed]"
_SHORTEST_KEY: Final = 8  # a shorter word may stand in any header
# mitmproxy itself still reads these to know where a message ends.
_FRAMING: Final = frozenset("host connection content-length transfer-encoding expect upgrade".split())


def hide_secrets(flow: http.HTTPFlow, *, forget: bool) -> None:
    """Take the client's keys off the flow; `forget` leaves nothing but what frames the message."""
    headers = flow.request.headers
    named = [value for name, value in headers.items() if name.lower() in CREDENTIALS]
    keys = {word for value in named for word in value.split() if len(word) >= _SHORTEST_KEY}
    for name in list(headers):
        if name.lower() in CREDENTIALS or any(
            key in value for value in headers.get_all(name) for key in keys
        ):
            headers[name] = _HIDDEN
        elif forget and name.lower() not in _FRAMING:
            del headers[name]
    if forget:
        flow.request.path = "/[ephemeral]"


def blank(flow: http.HTTPFlow) -> None:
    """Take keys and body off a flow that is answered at the door, without a conversation."""
    hide_secrets(flow, forget="x-dac-store" in flow.request.headers)
    flow.request.data.content = b""


def show(flow: http.HTTPFlow, exchange: Exchange) -> None:
    """Put on an ended flow what a reviewer may see: what was sent, what was received, the trace."""
    if exchange.ephemeral:
        hide_secrets(flow, forget=True)
        if flow.response is not None:  # the client has its headers by now
            for name in {name for name in flow.response.headers if name.lower() not in _FRAMING}:
                del flow.response.headers[name]
    elif exchange.sent is not None:
        flow.request.data.content = exchange.sent.body
    if flow.response is not None:
        flow.response.data.content = bytes(exchange.received)
    flow.metadata["penstock"] = {
        "id": exchange.id,
        "tenant": exchange.tenant,
        "decisions": [
            [d.stage, d.action, "" if exchange.ephemeral else d.reason] for d in exchange.decisions
        ],
    }
    flow.comment = " · ".join(f"{d.stage}: {d.action}" for d in exchange.decisions)
