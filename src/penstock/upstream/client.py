"""The HTTP client: one pool of connections for all clients, and calls with limits in time."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Final
from urllib.parse import quote
from urllib.request import getproxies_environment, proxy_bypass

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from penstock.errors import StartError
from penstock.policy.secret import read_secret
from penstock.upstream import failures
from penstock.upstream.policy import Upstream

_KEEPALIVE_S: Final = 30.0  # below the 60 s after which most servers close an idle connection
_HEADER_BYTES: Final = 64 * 1024
_LOST: Final = (aiohttp.ServerDisconnectedError, ConnectionResetError, BrokenPipeError)


class Connection:
    """How one upstream is reached: its TLS, its proxy, its secrets. Made once per policy.

    Raises StartError for files or secrets that can't be read.
    """

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.ssl = _ssl(upstream)
        self.proxy = _proxy(URL(upstream.url.replace("{model}", "model")), upstream)
        key = upstream.auth.key
        self.key = None if key == "client" else read_secret(key)
        self.headers = {
            name: read_secret(value) if value.startswith(("env:", "file:")) else value
            for name, value in upstream.headers.items()
        }

    def url(self, path: str, query: str, model: str | None) -> URL:
        """Give the URL of a path below the base; nothing the client sent is decoded or normalised."""
        base = self.upstream.url.replace("{model}", quote(model or "", safe="", errors="replace"))
        extra = "&".join(f"{quote(k)}={quote(v)}" for k, v in self.upstream.query.items())
        joined = "&".join(part for part in (query, extra) if part)
        return URL(f"{base}{path}?{joined}" if joined else f"{base}{path}", encoded=True)


class Client:
    """Calls upstreams over pooled connections."""

    def __init__(self) -> None:
        trace = aiohttp.TraceConfig()
        trace.on_connection_reuseconn.append(_note_reuse)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEPALIVE_S, ttl_dns_cache=30),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            trace_configs=[trace],
            max_line_size=_HEADER_BYTES,
            max_field_size=_HEADER_BYTES,
            read_bufsize=256 * 1024,
        )

    async def close(self) -> None:
        """Close every pooled connection."""
        await self._session.close()

    async def call(
        self,
        connection: Connection,
        method: str,
        url: URL,
        headers: CIMultiDict[str],
        body: bytes | AsyncIterator[bytes],
        *,
        decompress: bool,
        deadline: float,
    ) -> aiohttp.ClientResponse:
        """Send one request and give the answer once its headers are here.

        `deadline` is on the event loop's clock. A pooled connection that turns out dead before
        any byte came back is replaced once. Raises UpstreamFailed.
        """
        for again in (False, True):
            seen = SimpleNamespace(reused=False)
            try:
                return await self._send(connection, method, url, headers, body, decompress, deadline, seen)
            except _LOST:
                if again or not seen.reused or not isinstance(body, bytes):
                    raise failures.closed() from None
        raise failures.closed()

    async def _send(
        self,
        connection: Connection,
        method: str,
        url: URL,
        headers: CIMultiDict[str],
        body: bytes | AsyncIterator[bytes],
        decompress: bool,
        deadline: float,
        seen: SimpleNamespace,
    ) -> aiohttp.ClientResponse:
        limits = connection.upstream.timeouts
        loop = asyncio.get_running_loop()
        first = min(loop.time() + limits.first_byte_s, deadline)
        try:
            async with asyncio.timeout_at(first if isinstance(body, bytes) else deadline) as limit:
                if not isinstance(body, bytes):
                    body = _until_sent(body, limit, limits.first_byte_s, deadline)
                return await self._session.request(
                    method,
                    url,
                    headers=headers,
                    data=body or None,
                    allow_redirects=False,
                    ssl=connection.ssl,
                    proxy=connection.proxy,
                    auto_decompress=decompress,
                    timeout=aiohttp.ClientTimeout(total=None, connect=limits.connect_s),
                    trace_request_ctx=seen,
                )
        except aiohttp.ConnectionTimeoutError:
            raise failures.timed_out("connect") from None
        except TimeoutError:
            raise failures.timed_out("total" if loop.time() >= deadline else "first_byte") from None
        except _LOST:
            raise
        except (aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError):
            raise failures.unreachable() from None
        except aiohttp.ClientResponseError:
            raise failures.garbled() from None
        except (aiohttp.ClientError, OSError, ValueError):
            raise failures.closed() from None


async def _until_sent(
    body: AsyncIterator[bytes], limit: asyncio.Timeout, first_byte_s: float, deadline: float
) -> AsyncIterator[bytes]:
    """Send an upload; the wait for the first byte of its answer begins after its last."""
    async for piece in body:
        yield piece
    limit.reschedule(min(asyncio.get_running_loop().time() + first_byte_s, deadline))


async def _note_reuse(_session: object, context: SimpleNamespace, _params: object) -> None:
    context.trace_request_ctx.reused = True


def _ssl(upstream: Upstream) -> ssl.SSLContext | bool:
    if not upstream.url.startswith("https:"):
        return True
    try:
        context = ssl.create_default_context(cafile=upstream.ca_file)
        if upstream.client_cert_file:
            context.load_cert_chain(upstream.client_cert_file, upstream.client_key_file)
    except (OSError, ssl.SSLError) as problem:
        files = ", ".join(
            filter(None, (upstream.ca_file, upstream.client_cert_file, upstream.client_key_file))
        )
        raise StartError(f"{files}: {problem.strerror or problem}") from None
    return context


def _proxy(url: URL, upstream: Upstream) -> URL | None:
    if upstream.proxy == "none" or proxy_bypass(f"{url.host}:{url.port}"):
        return None
    proxy = getproxies_environment().get(url.scheme)
    if not proxy:
        return None
    return URL(proxy if "://" in proxy else f"http://{proxy}")  # as curl reads it
