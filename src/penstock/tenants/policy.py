"""tenants.yaml: who pays, which models they may use, and how much. Below a tenant: projects and users."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, tzinfo
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import Field, PrivateAttr, model_validator

from penstock.policy.base import Finding, Policy, PolicySet
from penstock.policy.problems import closest, quoted
from penstock.upstream.policy import UpstreamsPolicy

Unit = Literal["tokens", "requests", "usd", "streams"]
Window = Literal["minute", "day", "month", "total"]
Loc = tuple[str | int, ...]

# The audit trail writes tenants down; what it can't hold is refused here.
Name = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9._:@-]{0,63}$")]
ModelName = Annotated[str, Field(min_length=1, max_length=256)]

_MICROS: Final = 1_000_000
_MOST: Final = 10**15  # counters are added up in doubles where Lua does it, and those end at 2**53


class Limit(Policy):
    """So much of a unit in a window. `amount` is the same in the unit's own integer."""

    unit: Unit = Field(description="What is counted. `streams` are answers under way at the same time.")
    window: Window | None = Field(
        default=None,
        description="When the count begins anew, by the tenant's own clock; `streams` have none.",
    )
    limit: Annotated[int, Field(gt=0)] | Annotated[float, Field(gt=0)] = Field(
        description="How much; only `usd` has decimals, six at most."
    )
    model: ModelName | None = Field(default=None, description="Count only what this model uses.")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.unit == "streams" and self.window is not None:
            raise ValueError("a limit of streams has no window")
        if self.unit != "streams" and self.window is None:
            raise ValueError(f"a limit of {self.unit} needs a window: minute, day, month or total")
        if self.unit != "usd" and not isinstance(self.limit, int):
            raise ValueError(f"a limit of {self.unit} is a whole number")
        if (exact := self._exact()) != int(exact):
            raise ValueError("a limit of usd has at most 6 decimals")
        if exact > _MOST:
            raise ValueError(f"a limit of {self.unit} is at most {_MOST // self._per_unit}")
        return self

    @property
    def amount(self) -> int:
        """The limit in the unit's own integer: micro-dollars for `usd`."""
        return int(self._exact())

    @property
    def _per_unit(self) -> int:
        return _MICROS if self.unit == "usd" else 1

    def _exact(self) -> Decimal:
        return Decimal(str(self.limit)) * self._per_unit


Limits = tuple[Limit, ...]
Models = Annotated[tuple[ModelName, ...], Field(min_length=1)]


class Group(Policy):
    """A project or a user: what it may use of what its tenant may use."""

    models: Models | None = Field(
        default=None, description="Names of models that clients may use; all of the tenant's if left out."
    )
    limits: Limits = Field(default=(), description="Limits of its own; the tenant's hold as well.")


class Degrade(Policy):
    """From a share of a budget on, calls go to a smaller model."""

    from_share: float = Field(ge=0, le=1, description="The used share of a budget from which on.")
    model: ModelName = Field(description="The model that answers then.")


class Tenant(Policy):
    """An organisation that pays. `TenantsPolicy.tenant` gives it with the defaults filled in."""

    timezone: str = Field(
        default="UTC",
        description="The IANA name of the zone where its days and months begin; the default's if left out.",
    )
    models: Models | None = Field(
        default=None, description="Names of models that clients may use; all if left out."
    )
    limits: Limits = Field(default=(), description="All hold at once; the default's if left out.")
    projects: dict[Name, Group] = Field(default={}, description="Projects by name.")
    users: dict[Name, Group] = Field(default={}, description="Users by name.")
    hard_stop: Literal[429, 403] | None = Field(
        default=None, description="The status at 100 %, in place of what budget.yaml says."
    )
    degrade: Degrade | None = Field(default=None, description="When a smaller model takes over.")

    @property
    def zone(self) -> tzinfo:
        """The time zone."""
        return zone_of(self.timezone)

    def has(self, project: str, user: str) -> bool:
        """Say whether these are still among its projects and users; an empty name is nobody's."""
        return (not project or project in self.projects) and (not user or user in self.users)

    def scopes(self, project: str, user: str) -> list[tuple[str, Sequence[str]]]:
        """Give the scopes that list models, in words, and the models they list."""
        found: list[tuple[str, Sequence[str]]] = []
        if self.models is not None:
            found.append(("the tenant", self.models))
        if project and (models := self.projects[project].models) is not None:
            found.append((f"project {project}", models))
        if user and (models := self.users[user].models) is not None:
            found.append((f"user {user}", models))
        return found


class Defaults(Policy):
    """What a tenant has that says nothing of its own."""

    timezone: str = Field(default="UTC", description="The IANA name of a time zone.")
    limits: Limits = Field(default=(), description="Limits of each such tenant.")


class TenantsPolicy(Policy):
    """Every tenant by name. Without any, the gateway is open: everyone is the tenant `default`."""

    file = "tenants"

    defaults: Defaults = Field(
        default=Defaults(), description="What holds for tenants that say nothing of their own."
    )
    tenants: dict[Name, Tenant] = Field(default={}, description="Tenants by name.")
    _filled: dict[str, Tenant] = PrivateAttr(default_factory=dict)

    def model_post_init(self, context: Any, /) -> None:  # noqa: ANN401 - pydantic's own
        """Fill in the defaults."""
        given = {name: getattr(self.defaults, name) for name in ("timezone", "limits")}
        for name, tenant in self.tenants.items():
            missing = {key: value for key, value in given.items() if key not in tenant.model_fields_set}
            self._filled[name] = tenant.model_copy(update=missing) if missing else tenant

    @property
    def open(self) -> bool:
        """Whether no tenants are configured, so that no key is asked for."""
        return not self.tenants

    def tenant(self, name: str) -> Tenant | None:
        """Give a tenant with the defaults filled in."""
        return self._filled.get(name)

    def check(self, policies: PolicySet) -> Iterable[Finding]:
        """Find wrong time zones, repeated limits, models out of reach, upstreams that want clients' keys."""
        yield from _check_zone(("defaults", "timezone"), self.defaults.timezone)
        yield from _check_limits(("defaults",), self.defaults.limits, None)
        for name, tenant in self.tenants.items():
            yield from _check_tenant(("tenants", name), tenant)
        if not self.open:
            yield from _check_upstreams(policies[UpstreamsPolicy])


def zone_of(name: str) -> tzinfo:
    """Give a time zone by its IANA name. Raises LookupError for one that this machine does not know."""
    if name == "UTC":  # known without any data
        return UTC
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # a folder's name and a path are no zones either
        raise LookupError(name) from None


def _check_zone(at: Loc, name: str) -> Iterator[Finding]:
    try:
        zone_of(name)
    except LookupError:
        known = available_timezones()
        if known:
            yield Finding(at, f"no time zone is called {quoted(name)}", closest(name, known))
        else:
            yield Finding(at, "this machine has no time zones but UTC; install its package tzdata")


def _check_tenant(at: Loc, tenant: Tenant) -> Iterator[Finding]:
    if "timezone" in tenant.model_fields_set:
        yield from _check_zone((*at, "timezone"), tenant.timezone)
    yield from _check_limits(at, tenant.limits, tenant.models)
    if tenant.degrade is not None:
        yield from _check_model((*at, "degrade", "model"), tenant.degrade.model, tenant.models)
    for key in ("projects", "users"):
        groups: Mapping[str, Group] = getattr(tenant, key)
        for name, group in groups.items():
            for place, model in enumerate(group.models or ()):
                yield from _check_model((*at, key, name, "models", place), model, tenant.models)
            yield from _check_limits((*at, key, name), group.limits, group.models or tenant.models)


def _check_model(at: Loc, model: str, allowed: Sequence[str] | None) -> Iterator[Finding]:
    if allowed is not None and model not in allowed:
        message = f"{quoted(model)} is not among the models that are allowed here"
        yield Finding(at, message, closest(model, allowed))


def _check_limits(at: Loc, limits: Limits, allowed: Sequence[str] | None) -> Iterator[Finding]:
    first: dict[tuple[str, str | None, str | None], int] = {}
    for place, limit in enumerate(limits):
        here = (*at, "limits", place)
        what = (limit.unit, limit.window, limit.model)
        if what in first:
            again = (TenantsPolicy, (*at, "limits", first[what]))
            yield Finding(here, "this unit, window and model already have a limit here", other=again)
        first.setdefault(what, place)
        if limit.model is not None:
            yield from _check_model((*here, "model"), limit.model, allowed)


def _check_upstreams(upstreams: UpstreamsPolicy) -> Iterator[Finding]:
    for name, upstream in upstreams.upstreams.items():
        if upstream.auth.key == "client" and upstream.auth.style != "none":
            yield Finding(
                ("tenants",),
                f"with tenants, clients' keys are ours and never go upstream: {quoted(name)} needs a key "
                "of its own, 'env:NAME' or 'file:PATH', or the style 'none'",
                other=(UpstreamsPolicy, ("upstreams", name, "auth", "key")),
            )
