"""policies/experiment.yaml: settings that are tried on a part of the requests before they are everyone's."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Annotated, Final, Literal

import msgspec
from pydantic import Field, JsonValue

from penstock.experiment import arms
from penstock.policy.base import Finding, OnFailure, Policy, PolicySet, StagePolicy
from penstock.policy.problems import closest, quoted
from penstock.tenants.policy import TenantsPolicy

Metric = Literal["quality", "cost_usd", "latency_s", "error", "unhappy"]
Unit = Literal["tenant", "user", "thread"]
Loc = tuple[str | int, ...]

METRICS: Final[tuple[Metric, ...]] = ("quality", "cost_usd", "latency_s", "error", "unhappy")
HIGHER_IS_BETTER: Final[frozenset[Metric]] = frozenset({"quality"})

# A header and the audit trail write these names down.
Name = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class Arm(Policy):
    """One way of answering, and how many get it."""

    weight: Annotated[float, Field(gt=0, le=1_000_000)] = Field(
        default=1.0, description="Its share of the units, compared with the other arms' weights."
    )
    set: dict[str, dict[str, JsonValue]] = Field(
        default={},
        description="By policy file, what is different in this arm. Mappings are merged into the file's own; "
        "anything else takes the place of what is there.",
    )


class Guardrail(Policy):
    """How much worse an arm may be before it is stopped."""

    worse_by: Annotated[float, Field(ge=0)] = Field(
        description="In the metric's own unit, compared with the first arm."
    )


class Experiment(Policy):
    """Two arms or more; the first is the control that the others are compared with."""

    arms: Annotated[dict[Name, Arm], Field(min_length=2)] = Field(
        description="The arms; the first is the control."
    )
    unit: Unit = Field(
        default="user",
        description="Whom an arm is assigned to, for good: a tenant, a user (of the key, or as the body "
        "names one), or a thread (X-DAC-Thread, or else the first messages). A request that has none is in "
        "no arm.",
    )
    tenants: Annotated[tuple[str, ...], Field(min_length=1)] | None = Field(
        default=None, description="Only these tenants take part; all if left out."
    )
    metric: Metric = Field(
        default="cost_usd",
        description="What decides: `quality` (clients' feedback, higher is better), or what is better lower: "
        "`cost_usd` and `latency_s` of an answer, `error` (the share of failed requests), `unhappy` (signs "
        "of dissatisfaction for each request, by their weights).",
    )
    guardrails: dict[Metric, Guardrail] = Field(
        default={}, description="What stops the experiment by itself, and gives everyone the first arm."
    )
    min_sample: Annotated[int, Field(ge=10)] = Field(
        default=500, description="Observations of each arm before anything is concluded, guardrails included."
    )
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = Field(
        default=0.05, description="How often equal arms may be found different, however often somebody looks."
    )

    @property
    def control(self) -> str:
        """The name of the first arm."""
        return next(iter(self.arms))

    @cached_property
    def digest(self) -> str:
        """What an arm means: once that changes, what was counted before says nothing any more."""
        meant = [(name, arm.weight, arm.set) for name, arm in self.arms.items()]
        text = msgspec.json.encode([meant, self.unit, sorted(self.tenants or ())], order="sorted")
        return hashlib.blake2b(text, digest_size=6).hexdigest()

    def concerns(self, tenant: str) -> bool:
        """Say whether a tenant takes part."""
        return self.tenants is None or tenant in self.tenants


class ExperimentPolicy(StagePolicy):
    """The experiments that run, each assigned independently of the others."""

    file = "experiment"

    on_failure: OnFailure = Field(
        default="skip",
        description="What happens when this stage breaks: `skip` answers without an arm, `reject` with 503.",
    )
    experiments: dict[Name, Experiment] = Field(default={}, description="Experiments by name.")
    exclude_tenants: tuple[str, ...] = Field(
        default=(), description="Tenants whose requests get arms but are not counted, such as canaries."
    )

    def check(self, policies: PolicySet) -> Iterable[Finding]:
        """Find arms whose settings would be no good policies, and experiments in each other's way."""
        yield from _check_tenants(self, policies[TenantsPolicy])
        for name, experiment in self.experiments.items():
            for arm in experiment.arms:
                yield from arms.findings(_at(name, arm), experiment.arms[arm].set, policies)
        yield from _check_apart(self.experiments)


def settings_of(experiment: Experiment) -> set[Loc]:
    """Give the places that any of its arms sets, each as the path from the file's name on."""
    return {place for arm in experiment.arms.values() for place in arms.leaves(arm.set)}


def _at(name: str, arm: str) -> Loc:
    return ("experiments", name, "arms", arm, "set")


def _check_tenants(policy: ExperimentPolicy, tenants: TenantsPolicy) -> Iterator[Finding]:
    known = ["default"] if tenants.open else list(tenants.tenants)
    listed: list[tuple[Loc, str]] = [
        (("exclude_tenants", place), name) for place, name in enumerate(policy.exclude_tenants)
    ]
    for name, experiment in policy.experiments.items():
        places = enumerate(experiment.tenants or ())
        listed += [(("experiments", name, "tenants", place), tenant) for place, tenant in places]
    for at, tenant in listed:
        if tenant not in known:
            yield Finding(at, f"no tenant is called {quoted(tenant)}", closest(tenant, known))


def _check_apart(experiments: Mapping[str, Experiment]) -> Iterator[Finding]:
    """Refuse two experiments that set the same key for the same tenants: neither would measure its own."""
    seen: list[tuple[str, Experiment]] = []
    for name, experiment in experiments.items():
        for before, other in seen:
            if _disjoint(experiment, other):
                continue
            if shared := _shared(experiment, other):
                first = (ExperimentPolicy, _where(before, other, shared[1]))
                message = f"experiment {quoted(before)} sets this key, too"
                yield Finding(_where(name, experiment, shared[0]), message, other=first)
        seen.append((name, experiment))


def _disjoint(one: Experiment, other: Experiment) -> bool:
    return one.tenants is not None and other.tenants is not None and not {*one.tenants} & {*other.tenants}


def _shared(one: Experiment, other: Experiment) -> tuple[Loc, Loc] | None:
    """Give two places of which one is, or lies within, the other."""
    for place in sorted(settings_of(one), key=str):
        for there in sorted(settings_of(other), key=str):
            shorter = min(len(place), len(there))
            if place[:shorter] == there[:shorter]:
                return place, there
    return None


def _where(name: str, experiment: Experiment, place: Loc) -> Loc:
    arm = next(arm for arm, its in experiment.arms.items() if place in arms.leaves(its.set))
    return (*_at(name, arm), *place)
