"""What every page of the admin API does: it asks for the token, and answers in JSON whatever happens."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from aiohttp import web

from penstock.admin.token import Token
from penstock.errors import Refusal, StartError, StoreUnavailable

log = logging.getLogger("penstock.admin")
_CODES: Final = {404: "not_found", 405: "method_not_allowed", 413: "request_too_large"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def guarded(token: Token) -> web.Application:
    """Give pages that only the token's holder gets to see."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            known = token.opens(request.headers.get("Authorization", ""))
        except StartError as problem:
            log.error("the admin API is closed: %s", problem)
            raise Refusal(503, "admin_token_refused", "The token can't be used; the log says why.") from None
        if not known:
            raise Refusal(
                401,
                "invalid_admin_token",
                "Send the token of the state folder's admin.token as 'Authorization: Bearer TOKEN'.",
                headers={"www-authenticate": "Bearer"},
            )
        return await handler(request)

    return web.Application(middlewares=[guard])


@web.middleware
async def told_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give every error OpenAI's shape."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return _refused(refusal)
    except web.HTTPException as problem:
        code = _CODES.get(problem.status, "invalid_request")
        kept = {name: value for name, value in problem.headers.items() if name.lower() == "allow"}
        return _refused(Refusal(problem.status, code, f"{problem.reason}.", headers=kept))
    except StoreUnavailable:
        return _refused(Refusal(503, "store_unavailable", "The store does not answer."))
    except Exception:
        log.exception("an admin page broke")
        return _refused(Refusal(500, "internal_error", "The admin process could not handle this request."))


async def body_of[T](request: web.Request, kind: type[T]) -> T:
    """Read a JSON body. Raises Refusal (400) with the reason."""
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise Refusal(400, "invalid_json", f"The body is not what it should be: {problem}.") from None


def json_of(told: dict[str, Any]) -> web.Response:
    """Give an answer."""
    return web.Response(body=msgspec.json.encode(told), content_type="application/json")


def _refused(refusal: Refusal) -> web.Response:
    return web.Response(
        body=refusal.body(),
        status=refusal.status,
        headers=refusal.headers,
        content_type="application/json",
    )
