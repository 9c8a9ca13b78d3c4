"""identify: who pays. Without tenants everyone is the tenant `default`; with tenants a key says who."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Final, Literal
from urllib.parse import unquote

from multidict import CIMultiDict, MultiMapping
from pydantic import Field

from penstock.clock import SYSTEM, Clock
from penstock.errors import Refusal, StartError
from penstock.exchange import Decision, Exchange
from penstock.feedback.policy import PATH as FEEDBACK_PATH
from penstock.openai import wire_json
from penstock.openai.request import Endpoint, Request
from penstock.policy.base import PolicySet, StagePolicy
from penstock.reply import Reply
from penstock.stage import Proceed, Resources, Stage
from penstock.tenants.key import Key
from penstock.tenants.policy import Tenant, TenantsPolicy
from penstock.tenants.table import KeyTable
from penstock.upstream import failures

log = logging.getLogger("penstock.identify")

_HEADERS: Final = ("authorization", "api-key", "x-api-key")
_NOBODY: Final = Key("", "", "", "", "", 0.0, None, None, b"")
_NO_TENANT: Final = Tenant()


class IdentifyPolicy(StagePolicy):
    """How clients are told apart once there are tenants; who they are is in tenants.yaml."""

    file = "identify"

    max_stale_s: Annotated[float, Field(ge=1, le=3600)] = Field(
        default=10.0,
        description="After so long without word from the store of keys, requests get 503: any key may be "
        "revoked by now.",
    )
    other_endpoints: Literal["refuse", "allow"] = Field(
        default="refuse",
        description="What tenants may do beyond chats, responses, completions, embeddings and models. "
        "`allow` passes files, batches, WebSockets and the rest on unread, with the key that all share.",
    )


class Identify(Stage[IdentifyPolicy]):
    """Takes the client's key off the request, names the tenant, and holds it to its models."""

    name = "identify"
    policy = IdentifyPolicy
    nouns = (TenantsPolicy,)
    skippable = False

    _table: KeyTable | None = None
    _clock: Clock = SYSTEM
    _mode: Literal["", "open", "keyed"] = ""

    @classmethod
    def demanded(cls, policies: PolicySet) -> str | None:
        """Tenants need somebody who asks for their keys."""
        return None if policies[TenantsPolicy].open else "tenants.yaml has tenants"

    async def start(self, resources: Resources) -> None:
        """Make the table of keys; it is filled once there are tenants."""
        self._clock = resources.clock
        self._table = KeyTable(resources.records, resources.keyring, resources.clock)

    def accept(self, policies: PolicySet) -> None:
        """Say which mode this is, and begin to follow the keys.

        Raises StartError for a way back to open mode: the listener may be one that others reach.
        """
        tenants = policies[TenantsPolicy]
        if tenants.open and self._mode == "keyed":
            raise StartError("tenants.yaml: the last tenant is gone; only a restart may open the gateway")
        mode: Literal["open", "keyed"] = "open" if tenants.open else "keyed"
        if mode != self._mode:
            told = "every client is the tenant 'default', and no key is asked for"
            log.info("%s mode: %s", mode, told if tenants.open else "every client needs a tenant's key")
        self._mode = mode
        if self._table is not None and not tenants.open:
            self._table.begin()

    async def stop(self) -> None:
        """Let go of the table."""
        if self._table is not None:
            await self._table.stop()

    def plan(self, exchange: Exchange) -> Decision:
        """Name the tenant that would pay. Raises Refusal (401, 403, 503).

        A stage that was never started has no keys to compare with: it only says that one is needed.
        """
        if exchange.policies[TenantsPolicy].open:
            return Decision(self.name, "open", f"tenant {exchange.tenant}")
        if self._table is None:
            _check_endpoint(exchange)
            return Decision(self.name, "keyed", "a tenant's key is needed")
        return self._identify(exchange, self._table)

    async def answer(self, exchange: Exchange, proceed: Proceed) -> Reply:
        """Name the tenant, and list only the models that it may use.

        In open mode the client's key is kept where only the upstream stage takes it from.
        """
        if exchange.policies[TenantsPolicy].open:
            exchange.client_key = _presented(exchange.request.headers) or None
            exchange.decisions.append(self.plan(exchange))
            return await proceed(exchange)
        if self._table is None:
            raise _unavailable()
        self._table.begin()
        await self._table.looked()
        exchange.decisions.append(self._identify(exchange, self._table))
        lists = exchange.request.endpoint is Endpoint.MODELS
        reply = await proceed(exchange)
        if lists and reply.status == 200 and (scopes := _scopes(exchange)):
            return _only(reply, [models for _, models in scopes])
        return reply

    def _identify(self, exchange: Exchange, table: KeyTable) -> Decision:
        """Find the key's holder, and whether it may have what it asks for. Raises Refusal."""
        if not exchange.key_id:  # else somebody has asked before, and the key is off the request
            key = self._key(exchange, table)
            exchange.tenant, exchange.project, exchange.user = key.tenant, key.project, key.user
            exchange.key_id = key.id
        _check_endpoint(exchange)
        _check_models(exchange)
        return Decision(self.name, "keyed", f"tenant {exchange.tenant}, key {exchange.key_id}")

    def _key(self, exchange: Exchange, table: KeyTable) -> Key:
        """Give the living key that was presented. All that is refused takes the same way to one answer."""
        exchange.tenant = ""  # nobody's, so far
        presented = _presented(exchange.request.headers)
        if table.stale_s > exchange.policies[IdentifyPolicy].max_stale_s:
            raise _unavailable()
        found = table.find(presented)
        now = self._clock.now()
        key = found or _NOBODY
        tenant = exchange.policies[TenantsPolicy].tenant(key.tenant)
        alive = key.state(now) == "active"
        held = (tenant or _NO_TENANT).has(key.project, key.user)
        _take_off(exchange.request.headers, presented)
        if not all((found is not None, tenant is not None, alive, held)):
            exchange.decide(self.name, "refuse")
            raise Refusal(
                401,
                "invalid_api_key",
                "No valid API key was given. Ask whoever runs this gateway for one.",
                headers={"www-authenticate": "Bearer"},
            )
        table.used(key, now)
        return key


def _unavailable() -> Refusal:
    return Refusal(503, "keys_unavailable", "The gateway can't check API keys at the moment.")


def _presented(headers: MultiMapping[str]) -> str:
    """Give what the client authenticates with; empty if with nothing."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    bearer = token.strip() if scheme.lower() == "bearer" else ""
    return bearer or headers.get("api-key") or headers.get("x-api-key") or ""


def _take_off(headers: CIMultiDict[str], presented: str) -> None:
    """Take the key off the request, also from headers where it does not belong, such as a subprotocol."""
    for name in _HEADERS:
        headers.popall(name, None)
    if presented:
        for name in [name for name, value in headers.items() if presented in value]:
            headers.popall(name, None)


def _check_endpoint(exchange: Exchange) -> None:
    """Refuse what nobody here can read.

    The provider's key is shared: with it a tenant could list another's files, and no budget would notice.
    """
    request = exchange.request
    if request.path == FEEDBACK_PATH:
        return  # ours, and answered here
    unread = request.endpoint is Endpoint.OTHER and _model_of(request) is None
    if unread and exchange.policies[IdentifyPolicy].other_endpoints == "refuse":
        exchange.decide(Identify.name, "refuse", "endpoint")
        raise Refusal(
            403,
            "endpoint_not_allowed",
            "The gateway's identify policy lets no tenant use this endpoint.",
        )


def _check_models(exchange: Exchange) -> None:
    """Refuse a model that one of the holder's scopes does not list."""
    scopes = _scopes(exchange)
    if not scopes or exchange.request.endpoint is Endpoint.MODELS:
        return
    asked = _asked(exchange.request)
    for scope, models in scopes:
        if any(model not in models for model in asked):
            exchange.decide(Identify.name, "refuse", scope)
            raise Refusal(403, "model_not_allowed", f"This model is not allowed for {scope}.", param="model")


def _scopes(exchange: Exchange) -> Sequence[tuple[str, Sequence[str]]]:
    tenant = exchange.policies[TenantsPolicy].tenant(exchange.tenant)
    return tenant.scopes(exchange.project, exchange.user) if tenant else ()


def _asked(request: Request) -> Collection[object]:
    """Give every model that a request names.

    A request that names none may be answered by any: None stands for it, and no list has None.
    """
    if request.endpoint is Endpoint.OTHER:
        model = _model_of(request)
        return () if model is None else (model,)
    body = request.body or {}
    others = body.get("models")  # some upstreams take a list of models to fall back to
    return (request.model, *(others if isinstance(others, list) else [others] if others is not None else []))


def _model_of(request: Request) -> str | None:
    """Give the model that `GET /models/{model}` asks about: of what nobody reads, it alone can do no harm."""
    if request.method != "GET" or not request.path.startswith("/models/"):
        return None
    name = unquote(request.path.removeprefix("/models/"))
    return name if name and "%" not in name else None  # encoded twice, it may mean anything


def _only(reply: Reply, allowed: Sequence[Collection[str]]) -> Reply:
    """Leave only the allowed models in a list of models; lists that we don't know are left out."""
    if reply.stream is not None:
        raise failures.invalid(reply.status)
    answer = wire_json.decode(reply.body)
    listed = answer.get("data") if isinstance(answer, Mapping) else None
    data = [
        model
        for model in (listed if isinstance(listed, list) else ())
        if isinstance(model, Mapping) and all(model.get("id") in models for models in allowed)
    ]
    kept = {key: value for key, value in answer.items() if not isinstance(value, list)}
    return replace(reply, body=wire_json.encode({**kept, "data": data}))
