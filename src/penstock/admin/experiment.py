"""The admin API of experiments: how arms do, and the end of an experiment, for whoever has the token."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
from aiohttp import web

from penstock.admin.api import body_of, guarded, json_of
from penstock.admin.files import Files
from penstock.admin.token import Token
from penstock.experiment.desk import Desk
from penstock.experiment.policy import Experiment, ExperimentPolicy
from penstock.stores.keyring import Keyring
from penstock.stores.open import Stores


class _Promoted(msgspec.Struct, forbid_unknown_fields=True):
    """The arm that everyone shall get."""

    arm: str


class Experiments:
    """Answers /experiments, with what `penstock experiment status --json` prints."""

    def __init__(self, policies: Path, keyring: Keyring, stores: Stores, token: Token) -> None:
        self._files = Files(policies, ExperimentPolicy)
        self._desk = Desk(stores.records, keyring, "admin api")
        self._token = token

    def app(self) -> web.Application:
        """Give the pages, to be put below /experiments."""
        app = guarded(self._token)
        app.router.add_get("", self.all)
        app.router.add_get("/{name}", self.one)
        app.router.add_post("/{name}/stop", self.stop)
        app.router.add_post("/{name}/promote", self.promote)
        return app

    async def all(self, _request: web.Request) -> web.Response:
        """Say how all experiments stand."""
        reports = await self._desk.reports(self._experiments)
        return json_of({"experiments": [each.told() for each in reports]})

    async def one(self, request: web.Request) -> web.Response:
        """Say how one stands."""
        (report,) = await self._desk.reports(self._experiments, request.match_info["name"])
        return json_of(report.told())

    async def stop(self, request: web.Request) -> web.Response:
        """Give everyone the first arm."""
        await self._desk.stop(self._experiments, request.match_info["name"])
        return await self.one(request)

    async def promote(self, request: web.Request) -> web.Response:
        """Give everyone an arm."""
        asked = await body_of(request, _Promoted)
        await self._desk.promote(self._experiments, request.match_info["name"], asked.arm)
        return await self.one(request)

    @property
    def _experiments(self) -> Mapping[str, Experiment]:
        return self._files.now().experiments
