"""The admin API of budgets: what tenants may use and did, shown and changed, to whoever has the token."""

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import web

from penstock.admin.token import Token
from penstock.budget.changed import ChangedLimits
from penstock.budget.report import Desk, Row
from penstock.errors import Refusal, StartError, StoreUnavailable
from penstock.policy.base import Policy, PolicySet
from penstock.policy.problems import PolicyProblems
from penstock.policy.validate import read_model
from penstock.policy.yaml_source import read_document
from penstock.stores.keyring import Keyring
from penstock.stores.open import Stores
from penstock.tenants.policy import TenantsPolicy
from penstock.upstream.policy import UpstreamsPolicy

log = logging.getLogger("penstock.admin")
_KINDS: Final[tuple[type[Policy], ...]] = (TenantsPolicy, UpstreamsPolicy)
_CODES: Final = {404: "not_found", 405: "method_not_allowed", 413: "request_too_large"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _Named(msgspec.Struct, forbid_unknown_fields=True):
    """Which limit is meant, in the words of tenants.yaml."""

    scope: str
    unit: str
    window: str | None = None
    model: str | None = None


class _Asked(_Named, forbid_unknown_fields=True, kw_only=True):
    """A limit as it shall be."""

    limit: int | float


class Tenants:
    """The tenants of a folder of policies, as the gateway sees them: a bad change leaves the old ones."""

    def __init__(self, policies: Path) -> None:
        self._paths = {kind: policies / f"{kind.file}.yaml" for kind in _KINDS}
        self._seen: object = None
        self._read: TenantsPolicy | None = None

    def now(self) -> TenantsPolicy:
        """Give them, read again if a file has changed. Raises Refusal (503) while they never were good."""
        seen = [_look(path) for path in self._paths.values()]
        if seen != self._seen:
            self._seen = seen
            try:
                self._read = self._load(vanished=self._read is not None)
            except StartError as problem:
                log.error("the admin process can't take the tenants, the old ones stay:\n%s", problem)
        if self._read is None:
            raise Refusal(503, "policies_unreadable", "The tenants can't be read; the log says why.")
        return self._read

    def _load(self, *, vanished: bool) -> TenantsPolicy:
        """Read and check them. Raises StartError; for a missing file only where there was one before."""
        documents = {kind: read_document(path) for kind, path in self._paths.items()}
        if vanished and not documents[TenantsPolicy].exists:
            raise StartError(f"{self._paths[TenantsPolicy]}: the file is gone")
        read = {kind: read_model(kind, document) for kind, document in documents.items()}
        if problems := [problem for document in documents.values() for problem in document.problems()]:
            raise PolicyProblems(problems)
        policies = PolicySet({kind: policy for kind, policy in read.items() if policy is not None}, "")
        tenants = policies[TenantsPolicy]
        for finding in tenants.check(policies):
            raise StartError(f"{self._paths[TenantsPolicy]}: {finding.message}")
        return tenants


class Budgets:
    """Answers /budgets/…, with JSON whatever happens."""

    def __init__(self, policies: Path, keyring: Keyring, stores: Stores, token: Token) -> None:
        self._tenants = Tenants(policies)
        self._changed = ChangedLimits(stores.records, keyring)
        self._ledger = stores.ledger
        self._token = token

    def app(self) -> web.Application:
        """Give the pages, to be put below /budgets."""
        app = web.Application(middlewares=[self._guard])
        app.router.add_get("/{tenant}", self.show)
        app.router.add_get("/{tenant}/forecast", self.forecast)
        app.router.add_post("/{tenant}/limits", self.set)
        app.router.add_delete("/{tenant}/limits", self.forget)
        app.router.add_post("/{tenant}/reset", self.reset)
        return app

    async def show(self, request: web.Request) -> web.Response:
        """Give every limit as it stands."""
        desk = await self._desk(request)
        return _json(desk.told(await desk.standings()))

    async def forecast(self, request: web.Request) -> web.Response:
        """Say where every limit will stand at its window's end."""
        desk = await self._desk(request)
        return _json(desk.told(await desk.forecasts()))

    async def set(self, request: web.Request) -> web.Response:
        """Change a limit, or add one."""
        desk, asked = await self._desk(request), await _body(request, _Asked)
        limit = desk.limit(asked.scope, asked.unit, asked.window, asked.model, asked.limit)
        return _change(desk, *await desk.set(limit))

    async def forget(self, request: web.Request) -> web.Response:
        """Let the policy decide again."""
        desk, asked = await self._desk(request), await _body(request, _Named)
        limit = desk.existing(asked.scope, asked.unit, asked.window, asked.model)
        change = await desk.forget(limit)
        if change is None:
            raise Refusal(
                404, "limit_not_changed", "The limit is the policy's own; there is no change of it."
            )
        return _change(desk, *change)

    async def reset(self, request: web.Request) -> web.Response:
        """Set to zero what is used of one limit."""
        desk, asked = await self._desk(request), await _body(request, _Named)
        limit = desk.existing(asked.scope, asked.unit, asked.window, asked.model)
        ((before, after),) = await desk.reset([limit])
        return _change(desk, before, after)

    async def _desk(self, request: web.Request) -> Desk:
        tenants = self._tenants.now()
        await self._changed.look()
        return Desk(request.match_info["tenant"], tenants, self._changed, self._ledger, "admin api")

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let only the token's holder in."""
        try:
            known = self._token.opens(request.headers.get("Authorization", ""))
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
        return _refused(Refusal(503, "store_unavailable", "The store of budgets does not answer."))
    except Exception:
        log.exception("an admin page broke")
        return _refused(Refusal(500, "internal_error", "The admin process could not handle this request."))


async def _body[T](request: web.Request, kind: type[T]) -> T:
    """Read a JSON body. Raises Refusal (400) with the reason."""
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as problem:
        raise Refusal(400, "invalid_json", f"The body is not what it should be: {problem}.") from None


def _change(desk: Desk, before: Row | None, after: Row | None) -> web.Response:
    told = {"before": before.told() if before else None, "after": after.told() if after else None}
    return _json({"tenant": desk.tenant, **told})


def _json(told: dict[str, Any]) -> web.Response:
    return web.Response(body=msgspec.json.encode(told), content_type="application/json")


def _refused(refusal: Refusal) -> web.Response:
    return web.Response(
        body=refusal.body(),
        status=refusal.status,
        headers=refusal.headers,
        content_type="application/json",
    )


def _look(path: Path) -> object:
    """Say what would differ if a file were written; None for one that is not there."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns
