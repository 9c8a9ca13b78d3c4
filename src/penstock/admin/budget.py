"""The admin API of budgets: what tenants may use and did, shown and changed, to whoever has the token."""

from pathlib import Path

import msgspec
from aiohttp import web

from penstock.admin.api import body_of, guarded, json_of
from penstock.admin.files import Files
from penstock.admin.token import Token
from penstock.budget.changed import ChangedLimits
from penstock.budget.report import Desk, Row
from penstock.errors import Refusal
from penstock.stores.keyring import Keyring
from penstock.stores.open import Stores
from penstock.tenants.policy import TenantsPolicy
from penstock.upstream.policy import UpstreamsPolicy


class _Named(msgspec.Struct, forbid_unknown_fields=True):
    """Which limit is meant, in the words of tenants.yaml."""

    scope: str
    unit: str
    window: str | None = None
    model: str | None = None


class _Asked(_Named, forbid_unknown_fields=True, kw_only=True):
    """A limit as it shall be."""

    limit: int | float


class Budgets:
    """Answers /budgets/…, with JSON whatever happens."""

    def __init__(self, policies: Path, keyring: Keyring, stores: Stores, token: Token) -> None:
        self._tenants = Files(policies, TenantsPolicy, [UpstreamsPolicy])
        self._changed = ChangedLimits(stores.records, keyring)
        self._ledger = stores.ledger
        self._token = token

    def app(self) -> web.Application:
        """Give the pages, to be put below /budgets."""
        app = guarded(self._token)
        app.router.add_get("/{tenant}", self.show)
        app.router.add_get("/{tenant}/forecast", self.forecast)
        app.router.add_post("/{tenant}/limits", self.set)
        app.router.add_delete("/{tenant}/limits", self.forget)
        app.router.add_post("/{tenant}/reset", self.reset)
        return app

    async def show(self, request: web.Request) -> web.Response:
        """Give every limit as it stands."""
        desk = await self._desk(request)
        return json_of(desk.told(await desk.standings()))

    async def forecast(self, request: web.Request) -> web.Response:
        """Say where every limit will stand at its window's end."""
        desk = await self._desk(request)
        return json_of(desk.told(await desk.forecasts()))

    async def set(self, request: web.Request) -> web.Response:
        """Change a limit, or add one."""
        desk, asked = await self._desk(request), await body_of(request, _Asked)
        limit = desk.limit(asked.scope, asked.unit, asked.window, asked.model, asked.limit)
        return _change(desk, *await desk.set(limit))

    async def forget(self, request: web.Request) -> web.Response:
        """Let the policy decide again."""
        desk, asked = await self._desk(request), await body_of(request, _Named)
        limit = desk.existing(asked.scope, asked.unit, asked.window, asked.model)
        change = await desk.forget(limit)
        if change is None:
            raise Refusal(
                404, "limit_not_changed", "The limit is the policy's own; there is no change of it."
            )
        return _change(desk, *change)

    async def reset(self, request: web.Request) -> web.Response:
        """Set to zero what is used of one limit."""
        desk, asked = await self._desk(request), await body_of(request, _Named)
        limit = desk.existing(asked.scope, asked.unit, asked.window, asked.model)
        ((before, after),) = await desk.reset([limit])
        return _change(desk, before, after)

    async def _desk(self, request: web.Request) -> Desk:
        tenants = self._tenants.now()
        await self._changed.look()
        return Desk(request.match_info["tenant"], tenants, self._changed, self._ledger, "admin api")


def _change(desk: Desk, before: Row | None, after: Row | None) -> web.Response:
    told = {"before": before.told() if before else None, "after": after.told() if after else None}
    return json_of({"tenant": desk.tenant, **told})
