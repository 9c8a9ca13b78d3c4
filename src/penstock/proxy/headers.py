"""Headers between mitmproxy's bytes and the house's text; what is no UTF-8 survives both ways."""

from mitmproxy import http
from multidict import CIMultiDict


def decoded(request: http.Request) -> CIMultiDict[str]:
    """Give a request's headers as text."""
    fields = request.headers.fields
    return CIMultiDict((name.decode("latin-1"), value.decode("utf-8", "replace")) for name, value in fields)


def encoded(headers: CIMultiDict[str]) -> http.Headers:
    """Give headers as mitmproxy has them."""
    return http.Headers(
        [(name.encode(), value.encode("utf-8", "surrogateescape")) for name, value in headers.items()]
    )
