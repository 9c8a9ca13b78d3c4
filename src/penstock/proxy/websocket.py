"""WebSockets pass through mitmproxy's own upstream half; the chain can't read them."""

from urllib.parse import parse_qs

from mitmproxy import http

from penstock.exchange import Exchange
from penstock.gateway import Gateway
from penstock.openai.request import Endpoint, Request, keep_own, route
from penstock.proxy.headers import decoded, encoded
from penstock.telemetry import metrics
from penstock.upstream.client import Connection
from penstock.upstream.headers import to_upstream
from penstock.upstream.policy import UpstreamsPolicy


def is_upgrade(flow: http.HTTPFlow) -> bool:
    """Say whether the client asks for a WebSocket."""
    return str(flow.request.headers.get("upgrade", "")).lower() == "websocket"


def send_upstream(flow: http.HTTPFlow, gateway: Gateway) -> None:
    """Point the handshake at the upstream. Raises Refusal, StartError."""
    path, _, query = flow.request.path.partition("?")
    _, below = route(flow.request.method, path)
    keep_own(below)
    model = parse_qs(query).get("model", [None])[0]
    _, upstream = gateway.policies[UpstreamsPolicy].choose(model)
    connection = Connection(upstream)
    url = connection.url(below, query, model)
    headers = decoded(flow.request)
    exchange = Exchange(Request("GET", below, query, headers, Endpoint.OTHER), gateway.policies)
    gateway.chain.admit(exchange)
    sent = to_upstream(exchange, upstream.auth, connection.key, connection.headers)
    sent.update({name: headers[name] for name in ("connection", "upgrade") if name in headers})
    sent["host"] = url.authority  # aiohttp writes it elsewhere; mitmproxy sends the headers as they are
    flow.request.headers = encoded(sent)
    flow.request.scheme, flow.request.host, flow.request.port = url.scheme, url.host or "", url.port or 0
    flow.request.path = url.raw_path_qs
    metrics.WEBSOCKETS.inc()


def forget_messages(flow: http.HTTPFlow, *, but_last: bool) -> None:
    """Drop messages that have gone through: mitmproxy would keep them all, and show them."""
    if flow.websocket is not None:
        del flow.websocket.messages[: -1 if but_last else None]
