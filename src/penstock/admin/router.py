"""The admin API of the router: the versions of its scorers, and the way back to an earlier one."""

from typing import Any

import msgspec
from aiohttp import web

from penstock.admin.api import body_of, guarded, json_of
from penstock.admin.token import Token
from penstock.routing.rollback import roll_back
from penstock.routing.versions import History, Versions
from penstock.stores.keyring import Keyring
from penstock.stores.open import Stores


class _Wanted(msgspec.Struct, forbid_unknown_fields=True):
    """The version that shall be live."""

    version: int


class Router:
    """Answers /router/TENANT/ALIAS. No weights are shown: they hold hashes of what clients said."""

    def __init__(self, keyring: Keyring, stores: Stores, token: Token) -> None:
        self._records = stores.records
        self._keyring = keyring
        self._token = token

    def app(self) -> web.Application:
        """Give the pages, to be put below /router; an alias may have slashes."""
        app = guarded(self._token)
        app.router.add_get("/{tenant}/{alias:.+}", self.history)
        app.router.add_post("/{tenant}/{alias:.+}/rollback", self.rollback)
        return app

    async def history(self, request: web.Request) -> web.Response:
        """Give the versions, oldest first; before anything was learned there are none, and 0 is live."""
        tenant, alias = _named(request)
        versions = Versions(self._records, self._keyring)
        await versions.look()
        return json_of(_told(versions.history(tenant, alias)))

    async def rollback(self, request: web.Request) -> web.Response:
        """Make an earlier version live; 0 is the prior."""
        asked = await body_of(request, _Wanted)
        versions = Versions(self._records, self._keyring)
        await versions.look()
        return json_of(_told(await roll_back(versions, *_named(request), asked.version, "admin api")))


def _named(request: web.Request) -> tuple[str, str]:
    return request.match_info["tenant"], request.match_info["alias"]


def _told(history: History) -> dict[str, Any]:
    """Give what is shown. Where a release made the live version that saw prompts otherwise, 0 scores."""
    scoring = history.scoring()
    live = scoring.number if scoring else 0
    versions = [
        {
            "number": version.number,
            "live": version.number == live,
            "made": version.made,
            "outcomes": version.outcomes,
            "keeps": version.promise and version.promise.share,
            "digest": version.digest,
            "outdated": version.outdated,
            "why": version.why,
        }
        for version in history.versions
    ]
    return {"tenant": history.tenant, "alias": history.alias, "live": live, "versions": versions}
