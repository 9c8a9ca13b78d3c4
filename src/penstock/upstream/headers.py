"""Which headers cross the gateway, in each direction."""

from typing import Final

from multidict import CIMultiDict, CIMultiDictProxy, MultiMapping

from penstock.exchange import Exchange
from penstock.openai.request import Endpoint
from penstock.upstream.policy import Auth

# RFC 9110 section 7.6.1, and what belongs to one connection in practice.
_HOP: Final = frozenset(
    "connection keep-alive proxy-connection transfer-encoding te trailer upgrade".split()
    + "host content-length expect".split()
)
CREDENTIALS: Final = frozenset(
    "authorization api-key x-api-key x-goog-api-key proxy-authorization cookie".split()
)
# Who the client is in its own network is none of the provider's business.
_ABOUT_THE_CLIENT: Final = frozenset("forwarded via x-real-ip".split())
# What an upstream says about its own host would be wrong about ours.
_ABOUT_ITS_HOST: Final = frozenset(
    "age set-cookie alt-svc strict-transport-security content-security-policy proxy-authenticate".split()
)
_STYLES: Final = {"bearer": "authorization", "api-key": "api-key", "x-api-key": "x-api-key"}
_ENCODINGS: Final = "gzip, deflate"


def to_upstream(exchange: Exchange, auth: Auth, key: str | None, extra: dict[str, str]) -> CIMultiDict[str]:
    """Give the headers of the upstream call. `key` is the configured key, None where the client's goes on."""
    request = exchange.request
    named = _named(request.headers)
    headers: CIMultiDict[str] = CIMultiDict()
    for name, value in request.headers.items():
        low = name.lower()
        if low in _HOP or low in CREDENTIALS or low in _ABOUT_THE_CLIENT or low in named:
            continue
        if not low.startswith(("x-dac-", "x-forwarded-")):
            headers.add(name, value)
    if request.endpoint is not Endpoint.OTHER:
        headers["accept-encoding"] = _ENCODINGS
    if request.upload is not None and "content-length" in request.headers:
        headers["content-length"] = request.headers["content-length"]  # not every server takes chunks
    if key is None and request.endpoint is Endpoint.OTHER and auth.style != "none":
        for name in ("authorization", "api-key", "x-api-key"):
            if name in request.headers:
                headers[name] = request.headers[name]
    elif (token := key or exchange.client_key) and auth.style != "none":
        headers[_STYLES[auth.style]] = f"Bearer {token}" if auth.style == "bearer" else token
    headers.update(extra)
    return headers


def to_client(headers: CIMultiDictProxy[str], *, decoded: bool) -> CIMultiDict[str]:
    """Give the headers of an upstream's answer that reach the client; `decoded` says it was decompressed."""
    passed: CIMultiDict[str] = CIMultiDict()
    named = _named(headers)
    for name, value in headers.items():
        low = name.lower()
        if low in _HOP or low in _ABOUT_ITS_HOST or low in named or low.startswith("x-dac-"):
            continue
        if not (decoded and low == "content-encoding"):
            passed.add(name, value)
    return passed


def _named(headers: MultiMapping[str]) -> set[str]:
    """Give the headers that Connection, which may come several times, keeps to this hop."""
    return {name.strip().lower() for value in headers.getall("connection", []) for name in value.split(",")}
