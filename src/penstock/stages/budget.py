"""budget: reserves what a request may cost before the call, and charges what it did cost after it."""

import asyncio
from collections.abc import Sequence
from typing import Final

from penstock.budget.asked import limited
from penstock.budget.books import Books
from penstock.budget.changed import ChangedLimits
from penstock.budget.counting import Counting
from penstock.budget.held import Held
from penstock.budget.lease import LeasedLedger
from penstock.budget.limits import Applied, KnownLimits, Overrides, of_account
from penstock.budget.need import Need
from penstock.budget.policy import BudgetPolicy
from penstock.budget.reserve import Reserved, Till
from penstock.budget.split import Split
from penstock.budget.told import Stand, headers, stopped
from penstock.budget.warn import Warner
from penstock.budget.window import Periods, period
from penstock.errors import Refusal, StageFailed, StoreUnavailable
from penstock.exchange import Decision, Exchange
from penstock.models.policy import ModelsPolicy
from penstock.models.prompt import unseen
from penstock.models.tokenizer import warm
from penstock.openai.request import Endpoint
from penstock.policy.base import PolicySet
from penstock.reply import Reply
from penstock.routing.policy import RoutingPolicy
from penstock.stage import Proceed, Resources, Stage
from penstock.stores.ledger import Denial, Line, Standing
from penstock.tenants.policy import Degrade, Tenant, TenantsPolicy

_UNCHANGED: Final[Overrides] = {}
_NO_UPLOAD: Final = ("GET", "HEAD", "DELETE", "OPTIONS")
_PROVIDER_TOOLS: Final = ("tools", "web_search_options")  # as `unseen` names them
_SPOKEN: Final = (Endpoint.CHAT, Endpoint.RESPONSES, Endpoint.COMPLETIONS)


class Budget(Stage[BudgetPolicy]):
    """Holds every limit that a request stands under, or refuses it."""

    name = "budget"
    policy = BudgetPolicy
    nouns = (TenantsPolicy, ModelsPolicy, RoutingPolicy)
    after = ("identify", "ephemeral", "redaction", "experiment", "memory", "summary", "cache")
    skippable = False

    _changed: ChangedLimits | None = None  # a stage that is only asked for its plan is never started

    def __init__(self) -> None:
        self._known = KnownLimits()

    @classmethod
    def demanded(cls, policies: PolicySet) -> str | None:
        """Limits need somebody who holds them."""
        tenants = policies[TenantsPolicy]
        known = [tenant for name in tenants.tenants if (tenant := tenants.tenant(name)) is not None]
        groups = (group for tenant in known for group in (*tenant.projects.values(), *tenant.users.values()))
        limited = any(tenant.limits for tenant in known) or any(group.limits for group in groups)
        return "tenants.yaml has limits" if limited else None

    async def start(self, resources: Resources) -> None:
        """Open the books."""
        self._clock = resources.clock
        self._ledger = LeasedLedger(resources.ledger, resources.clock, self._warn_of_slice)
        self._books = Books(self._ledger, resources.clock, BudgetPolicy().reservation_s)
        self._changed = ChangedLimits(resources.records, resources.keyring)
        self._periods = Periods()
        self._counting = Counting()
        self._warner = Warner()
        await self._changed.start()

    def accept(self, policies: PolicySet) -> None:
        """Take how long reservations last, and read the webhook's secret. Raises StartError."""
        policy = policies[BudgetPolicy]
        self._warner.accept(policy.webhook)
        self._books.lasts_s = policy.reservation_s
        self._ledger.configure(policy.leases, policy.reservation_s, policy.store_gone)
        self._policies = policies
        if not policies[TenantsPolicy].open:  # half a second for a vocabulary: no request should wait for it
            named = {model.tokenizer for model in policies[ModelsPolicy].models.values()}
            asyncio.get_running_loop().run_in_executor(None, warm, named)

    async def stop(self) -> None:
        """Settle what has ended."""
        if self._changed is not None:
            await self._changed.stop()
        await self._books.close()
        await self._ledger.close()
        await self._warner.close()

    def plan(self, exchange: Exchange) -> Decision:
        """Say which limits a request stands under. Raises Refusal for what can't be asked within them."""
        limits = self._limits(exchange)
        if not limits:
            return Decision(self.name, "pass", "no limits")
        need = self._need(exchange, limits)
        held = ", ".join(dict.fromkeys(limit.unit for limit in limits))
        return Decision(self.name, "reserve", f"limits on {held}; up to {need.most_tokens} tokens")

    async def answer(self, exchange: Exchange, proceed: Proceed) -> Reply:
        """Reserve, proceed, settle."""
        limits = self._limits(exchange)
        if not limits:
            exchange.decide(self.name, "pass", "no limits")
            return await proceed(exchange)
        held = await self._reserve(exchange, limits)
        try:
            return held.follow(await proceed(exchange))
        except asyncio.CancelledError:
            held.abandon()
            raise
        except BaseException:
            held.release()
            raise

    async def _reserve(self, exchange: Exchange, limits: Sequence[Applied]) -> Held:
        """Hold what the request needs. Raises Refusal where a limit has no room for it."""
        tenant, policy = _tenant(exchange), exchange.policies[BudgetPolicy]
        till = Till(
            self._ledger, self._books, self._periods, policy, exchange.tenant, tenant.zone, self._clock
        )
        try:
            asked = await till.ask(self._need(exchange, limits), limits)
            if tenant.degrade is not None and self._degrades(exchange, tenant.degrade, asked):
                await till.give_back(asked)
                limits = self._limits(exchange)
                asked = await till.ask(self._need(exchange, limits), limits)
        except StoreUnavailable:
            raise StageFailed(self.name) from None
        if isinstance(asked.answer, Denial):
            now, status = self._clock.now(), tenant.hard_stop or policy.hard_stop
            exchange.answer_headers.update(headers(asked.stands, now, tenant.zone, policy.warn_at))
            exchange.decide(self.name, "stop", ", ".join(stand.limit.key for stand in asked.denied))
            raise stopped(asked.denied, exchange.tenant, now, tenant.zone, status, waits=asked.waits)
        exchange.decide(self.name, "reserve", f"{len(limits)} limits, {asked.answer.tokens} output tokens")
        return self._held(exchange, till, asked, asked.answer.tokens)

    def _held(self, exchange: Exchange, till: Till, asked: Reserved, tokens: int) -> Held:
        """Send no more than was granted upstream, and follow the call from here."""
        need = asked.need
        if need.model is not None and tokens < need.output_tokens:
            exchange.request = limited(exchange.request, need.asked, need.model.limit_field, tokens)
        policy = till.policy
        held = Held(
            exchange,
            till,
            asked,
            self._counting,
            lambda model: self._limits(exchange, model),
            lambda stand: self._warner.warn(till.tenant, stand, till.zone, policy.webhook),
            Split(till, self._limits) if policy.shared_calls == "split" else None,
        )
        exchange.purse = held
        return held

    def _degrades(self, exchange: Exchange, degrade: Degrade, asked: Reserved) -> bool:
        """Ask the smaller model instead, where so much is used that it should answer."""
        request = exchange.request
        if request.endpoint not in _SPOKEN or request.model == degrade.model:
            return False
        if asked.share < degrade.from_share and not isinstance(asked.answer, Denial):
            return False
        exchange.request = request.with_fields(model=degrade.model)
        exchange.substituted = True
        exchange.decide(self.name, "degrade", f"{asked.share:.0%} used")
        return True

    def _warn_of_slice(self, tenant: str, line: Line, standing: Standing) -> None:
        """Warn of an account that a slice's settlement brought near its limit."""
        counted, paying = (
            of_account(line.account.name, line.limit),
            self._policies[TenantsPolicy].tenant(tenant),
        )
        if counted is not None and paying is not None:
            limit, began = counted
            stand = Stand(limit, period(limit.window, began, paying.zone), standing)
            self._warner.warn(tenant, stand, paying.zone, self._policies[BudgetPolicy].webhook)

    def _limits(self, exchange: Exchange, model: str | None = None) -> Sequence[Applied]:
        """Give the limits of a request, as it is or for a model; what costs nothing stands under none."""
        request = exchange.request
        if request.endpoint is Endpoint.MODELS:
            return ()
        who = exchange.tenant, exchange.project, exchange.user
        under = self._known.get(
            who,
            model or request.model or "",
            exchange.policies,
            self._changed.amounts if self._changed else _UNCHANGED,
        )
        if under is None:
            return ()
        if under.metered:
            _refuse_unmetered(exchange)
        return under.countless if request.endpoint is Endpoint.OTHER else under.limits

    def _need(self, exchange: Exchange, limits: Sequence[Applied]) -> Need:
        most = exchange.policies[BudgetPolicy].max_choices
        policies, request = exchange.policies, exchange.request
        model = policies[ModelsPolicy].find(policies[RoutingPolicy].first(request.model))
        return Need.of(request, model, limits, most)


def _refuse_unmetered(exchange: Exchange) -> None:
    """Raise Refusal for what may cost tokens that nobody here can count."""
    request, policy = exchange.request, exchange.policies[BudgetPolicy]
    if request.endpoint is not Endpoint.OTHER:
        named = any(name in (request.body or {}) for name in _PROVIDER_TOOLS)
        if named and not policy.unmetered_tools and unseen(request) in _PROVIDER_TOOLS:
            raise Refusal(
                403,
                "tool_not_metered",
                "What the provider's own tools cost is known only afterwards, and the tenant has a budget. "
                "The policy's unmetered_tools (budget.yaml) would let them pass.",
                kind="insufficient_permissions",
                param="tools",
            )
        return
    free = policy.unmetered_paths
    listed = any(request.path == path or request.path.startswith(f"{path}/") for path in free)
    if listed or (request.method in _NO_UPLOAD and "upgrade" not in request.headers):
        return
    raise Refusal(
        403,
        "endpoint_not_metered",
        "This gateway can't count what the endpoint costs, and the tenant has a budget. "
        "The policy's unmetered_paths (budget.yaml) would let it pass.",
        kind="insufficient_permissions",
    )


def _tenant(exchange: Exchange) -> Tenant:
    tenant = exchange.policies[TenantsPolicy].tenant(exchange.tenant)
    assert tenant is not None  # noqa: S101 - it has limits
    return tenant
