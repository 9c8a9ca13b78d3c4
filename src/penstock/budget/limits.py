"""The limits that a request stands under: of its tenant, its project, its user, and its model."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

from penstock.budget.window import Period, Window
from penstock.models.policy import ModelsPolicy
from penstock.policy.base import PolicySet
from penstock.routing.policy import RoutingPolicy
from penstock.stores.ledger import Account
from penstock.tenants.policy import Limit, Tenant, TenantsPolicy

Overrides = Mapping[tuple[str, str], int]
"""Amounts that `penstock budget set` put in the place of the policy's, by tenant and limit key."""

METERED: Final = ("tokens", "usd")
"""Units that depend on the model and on how long the answer becomes."""

_MOST_KNOWN: Final = 10_000  # names of models come from clients
_USD_MICROS: Final = 1_000_000
_PHRASES: Final = {
    Window.MINUTE: "per minute",
    Window.DAY: "of the day",
    Window.MONTH: "of the month",
    Window.TOTAL: "in all",
    Window.NONE: "at a time",
}


@dataclass(frozen=True, slots=True)
class Applied:
    """One limit on one scope: `tenant`, `project:NAME` or `user:NAME`, perhaps for one model only.

    `amount` is in tokens, requests, micro-dollars or streams.
    """

    scope: str
    unit: str
    window: Window
    amount: int
    model: str = ""

    @property
    def key(self) -> str:
        """Name the limit within its tenant; a model's name may hold a slash, so it stands last."""
        return f"{self.scope}/{self.unit}/{self.window}/{self.model}"

    @property
    def rate(self) -> bool:
        """Whether it bounds how fast, not how much: waiting a little helps."""
        return self.window in (Window.MINUTE, Window.NONE)

    def account(self, period: Period) -> Account:
        """Name the counter of one period."""
        began = int(period.began)
        return Account(f"{self.scope}/{self.unit}/{self.window}/{began}/{self.model}", period.keep_until)

    def warn_from(self, share: float) -> int | None:
        """Give the use from which on a warning is due; none for rates."""
        return None if self.rate else math.ceil(self.amount * share)

    def shown(self, amount: int) -> str:
        """Write an amount as people do: money in dollars."""
        return f"{amount / _USD_MICROS:.6f}" if self.unit == "usd" else str(amount)

    def named(self, tenant: str) -> str:
        """Say which limit it is, in words."""
        whose = f"tenant {tenant}" if self.scope == "tenant" else self.scope.replace(":", " ", 1)
        of_model = f" on model {self.model}" if self.model else ""
        return f"{self.unit} {_PHRASES[self.window]} for {whose}{of_model}"


def limits_of(
    tenant: str,
    policy: Tenant,
    project: str,
    user: str,
    models: Collection[str] | None,
    overrides: Overrides,
) -> tuple[Applied, ...]:
    """Give every limit that a request for a model of these names stands under; None means any model."""
    applied = {limit.key: limit for limit in _in_policy(policy, project, user)}
    for (whose, key), amount in overrides.items():
        if whose == tenant and (limit := parse(key, amount)) and limit.scope in _scopes(project, user):
            applied[key] = limit
    return tuple(
        limit for limit in applied.values() if models is None or not limit.model or limit.model in models
    )


@dataclass(frozen=True, slots=True)
class Under:
    """The limits that requests of one kind stand under; `countless` are those that need no tokens counted."""

    limits: tuple[Applied, ...]
    countless: tuple[Applied, ...]

    @classmethod
    def of(cls, limits: tuple[Applied, ...]) -> "Under":
        """Sort limits."""
        return cls(limits, tuple(limit for limit in limits if limit.unit not in METERED))

    @property
    def metered(self) -> bool:
        """Whether a limit depends on tokens."""
        return len(self.countless) < len(self.limits)


class KnownLimits:
    """The limits of each who asked lately, worked out once for a policy set and its changes."""

    def __init__(self) -> None:
        self._of: tuple[object, ...] = ()
        self._known: dict[tuple[str, ...], Under] = {}

    def get(
        self, who: tuple[str, str, str], model: str, policies: PolicySet, overrides: Overrides
    ) -> Under | None:
        """Give the limits of a tenant, project and user for a model; None for an unknown tenant."""
        tenants, models = policies[TenantsPolicy], policies[ModelsPolicy]
        first = policies[RoutingPolicy].first(model) or model  # an arm may have routes of its own
        of = tenants, models, overrides
        if any(one is not other for one, other in zip_longest(self._of, of)):
            self._of, self._known = of, {}
        if (known := self._known.get((*who, model, first))) is not None:
            return known
        if (tenant := tenants.tenant(who[0])) is None:
            return None
        names = {model, first, models.listed_name(first) or first}
        under = Under.of(limits_of(who[0], tenant, who[1], who[2], names, overrides))
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[*who, model, first] = under
        return under


def parse(key: str, amount: int) -> Applied | None:
    """Read a limit's key; None for one that this version doesn't know."""
    scope, unit, window, model = (*key.split("/", 3), "", "", "")[:4]
    try:
        return Applied(scope, unit, Window(window), amount, model)
    except ValueError:
        return None


def of_account(name: str, amount: int) -> tuple[Applied, float] | None:
    """Give the limit that an account counts for, and when its period began; None for an account of others."""
    scope, unit, window, began, model = (*name.split("/", 4), "", "", "", "")[:5]
    limit = parse(f"{scope}/{unit}/{window}/{model}", amount)
    return (limit, float(began)) if limit is not None and began.isdigit() else None


def _scopes(project: str, user: str) -> tuple[str, ...]:
    return ("tenant", f"project:{project}", f"user:{user}")


def _in_policy(tenant: Tenant, project: str, user: str) -> Iterator[Applied]:
    groups: list[tuple[str, Sequence[Limit]]] = [("tenant", tenant.limits)]
    if project in tenant.projects:
        groups.append((f"project:{project}", tenant.projects[project].limits))
    if user in tenant.users:
        groups.append((f"user:{user}", tenant.users[user].limits))
    for scope, limits in groups:
        for limit in limits:
            window = Window(limit.window or Window.NONE)
            yield Applied(scope, limit.unit, window, limit.amount, limit.model or "")
