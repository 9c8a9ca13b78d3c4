"""policies/routing.yaml: which models stand behind a name, and who of them answers."""

import difflib
from collections.abc import Iterable, Sequence
from datetime import time
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from penstock.models.policy import ModelsPolicy
from penstock.policy.base import Finding, Policy, PolicySet, StagePolicy
from penstock.policy.node import Loc
from penstock.tenants.policy import TenantsPolicy
from penstock.upstream.policy import UpstreamsPolicy

Name = Annotated[str, Field(min_length=1, max_length=200)]
Share = Annotated[float, Field(ge=0, le=1)]
Gate = Literal["truncated", "refused", "empty", "json", "tool_call", "format", "code", "hedging", "logprobs"]
_GATES: Final[tuple[Gate, ...]] = ("truncated", "refused", "empty", "json", "tool_call", "format", "code")


def _hours(text: str) -> str:
    try:
        for each in text.split("-"):
            time.fromisoformat(each)
    except ValueError:
        raise ValueError("a time of day goes from 00:00 to 23:59") from None
    return text


class Candidate(Policy):
    """A model that may answer; what it costs and can stands in models.yaml."""

    model: Name = Field(description="Its name as clients would write it.")
    upstreams: tuple[Name, ...] = Field(
        default=(),
        description="Upstreams that serve it alike: the faster of two drawn by lot answers. "
        "Left out: the one that lists the model.",
    )


class Rule(Policy):
    """Decides for requests of a kind; all that is said must hold."""

    intent: tuple[Name, ...] = Field(default=(), description="One of these intents.")
    tenant: tuple[Name, ...] = Field(default=(), description="One of these tenants.")
    header: dict[Name, str] = Field(default={}, description="Headers of the request with these values.")
    longer_than_tokens: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="The prompt may have more tokens than this, by its bytes."
    )
    hours: Annotated[str, Field(pattern=r"^\d\d:\d\d-\d\d:\d\d$"), AfterValidator(_hours)] | None = Field(
        default=None, description='A time of day such as "22:00-06:00", on the tenant\'s clock.'
    )
    use: Name = Field(description="The candidate that answers.")


class Cascade(Policy):
    """The small model answers, gates judge, the large one is asked only if they fail."""

    streams: Literal["pre", "hold", "off"] = Field(
        default="pre",
        description="`pre` decides before the call and streams at once; `hold` keeps the small model's "
        "stream back until the gates have passed; `off` sends streams to the large model.",
    )
    gates: tuple[Gate, ...] = Field(
        default=_GATES,
        description="What makes the large model answer.",
    )
    least_mean_logprob: Annotated[float, Field(le=0)] | None = Field(
        default=None, description="For the gate `logprobs`: the mean must not be lower."
    )
    least_margin: Annotated[float, Field(ge=0)] | None = Field(
        default=None,
        description="For the gate `logprobs`: no token may stand less above its runner-up, in nats.",
    )
    hold_s: Annotated[float, Field(gt=0, le=300)] = Field(
        default=20.0, description="The longest that a stream is held; then it is released as it is."
    )
    second_opinion: Name | None = Field(
        default=None,
        description="A cheap model that is asked as well where answers can be compared; if the two disagree, "
        "or it says nothing that can be compared, the large one answers.",
    )
    large_share: Share | None = Field(
        default=None,
        description="How far the bill for large answers may go, of what all would cost: they are asked "
        "for where the trained score, having seen the small answer, expects the most of them. A second "
        "opinion is then one of the things that it sees; until it has learned, gates and opinion decide.",
    )
    max_error: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None,
        description="The share of wrong answers among those of the small model that is promised; the "
        "threshold follows from labelled and shadow outcomes. Without enough of them the large answers.",
    )


class Alias(Policy):
    """A name that clients use, and who may answer to it."""

    candidates: Annotated[tuple[Candidate, ...], Field(min_length=1)] = Field(
        description="From the smallest to the largest."
    )
    rules: tuple[Rule, ...] = Field(default=(), description="The first that holds decides.")
    decide: Literal["scorer", "small", "large"] = Field(
        default="scorer",
        description="Who answers where no rule holds.",
    )
    large_share: Share = Field(
        default=0.5,
        description="How far the bill may go from that of the small model alone (0) to that of the large one "
        "alone (1) by the scorer's word: requests that gain the most of those seen lately get the large.",
    )
    cost_weight: Share = Field(
        default=0.5,
        description="How much a request's own cost counts against its gain: 0 ranks by gain, 1 by gain per "
        "dollar. In between what is wrong with either estimate weighs less.",
    )
    latency_weight: Share = Field(
        default=0.0,
        description="How much of `large_share` is given up while the large model takes longer than usual: "
        "with 1 a half when it takes twice as long, with 0.5 a quarter. It must list upstreams.",
    )
    least_gain: Annotated[float, Field(ge=-1, le=1)] = Field(
        default=0.0, description="The gain in quality (0 to 1) below which the small model answers anyway."
    )
    unknown: Literal["small", "large"] = Field(
        default="large", description="Who answers what the scorer knows nothing about (no intent fits)."
    )
    stick: Literal["thread", "user", "none"] = Field(
        default="thread",
        description="Requests of the same thread, or user, keep their model and upstream, and so the "
        "provider's prompt cache.",
    )
    stick_s: Annotated[float, Field(gt=0, le=86_400)] = Field(default=600.0, description="How long.")
    cascade: Cascade | None = Field(default=None, description="Judging the small model's answers.")
    shadow: Annotated[float, Field(ge=0, le=0.25)] = Field(
        default=0.0,
        description="The share of requests that are asked of both models, beside the road, to learn from. "
        "They are paid by the tenant's budget.",
    )


class Latency(Policy):
    """When an upstream counts as slow, and gets less to do."""

    window_s: Annotated[float, Field(ge=1, le=3600)] = Field(
        default=30.0, description="What is older than this counts for nothing."
    )
    slow_factor: Annotated[float, Field(gt=1)] = Field(
        default=3.0, description="How many times slower than the best it must be."
    )
    back_factor: Annotated[float, Field(gt=1)] = Field(
        default=1.5,
        description="How many times slower than the best it may be to get its traffic back, three times in "
        "a row. Less than slow_factor.",
    )
    probe_s: Annotated[float, Field(ge=0.1)] = Field(
        default=5.0, description="How often a slow one is asked all the same, to see whether it is back."
    )

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.back_factor >= self.slow_factor:
            raise ValueError("back_factor must be less than slow_factor")
        return self


class Learn(Policy):
    """When new scorers are made."""

    every_s: Annotated[float, Field(ge=1)] = Field(
        default=300.0, description="Not more often than this is an alias's scorer made anew."
    )
    least_outcomes: Annotated[int, Field(ge=1)] = Field(
        default=100, description="Nor before so many new outcomes are known."
    )
    shadow_first: Annotated[float, Field(ge=0, le=0.25)] = Field(
        default=0.1,
        description="The share of requests that are asked of both models, if it is more than `shadow`, while "
        "an alias has fewer than 1,000 outcomes; only where `shadow` is above 0.",
    )


class RoutingPolicy(StagePolicy):
    """The aliases, the intents that requests have, and what is slow."""

    file = "routing"

    aliases: dict[Name, Alias] = Field(default={}, description="Aliases by the names clients use.")
    intents: dict[Name, Annotated[tuple[str, ...], Field(min_length=3)]] = Field(
        default={},
        description="Labels with examples of requests, at least three each. A request that is like none of "
        "them has no intent.",
    )
    latency: Latency = Field(default=Latency(), description="How slow upstreams are known.")

    learn: Learn = Field(default=Learn(), description="How the scorer learns.")

    def check(self, policies: PolicySet) -> Iterable[Finding]:
        """Find candidates without a price, upstreams that are not there, and rules for nobody."""
        for name, alias in self.aliases.items():
            yield from _check_alias(("aliases", name), alias, policies, self)

    def first(self, model: str | None) -> str | None:
        """Give the model that a request is first reckoned with: an alias's smallest, or the model itself."""
        alias = self.aliases.get(model or "")
        return alias.candidates[0].model if alias else model


def _check_alias(at: Loc, alias: Alias, policies: PolicySet, routing: RoutingPolicy) -> Iterable[Finding]:
    names = [candidate.model for candidate in alias.candidates]
    models, upstreams = policies[ModelsPolicy], policies[UpstreamsPolicy].upstreams
    for place, candidate in enumerate(alias.candidates):
        here = (*at, "candidates", place)
        if models.find(candidate.model) is None:
            yield Finding(
                (*here, "model"),
                f"models.yaml has no {candidate.model!r}",
                _near(candidate.model, models.models),
            )
        if candidate.model in routing.aliases and candidate.model != at[1]:
            yield Finding((*here, "model"), f"{candidate.model!r} is an alias itself")
        if candidate.model in names[:place]:
            yield Finding((*here, "model"), f"{candidate.model!r} is a candidate already")
        for number, upstream in enumerate(candidate.upstreams):
            if upstream not in upstreams:
                yield Finding(
                    (*here, "upstreams", number),
                    f"no upstream is called {upstream!r}",
                    _near(upstream, upstreams),
                )
    yield from _check_rules(at, alias, policies, routing)
    if alias.latency_weight and not alias.candidates[-1].upstreams:
        yield Finding((*at, "latency_weight"), f"{names[-1]!r} lists no upstreams, so nobody times it")
    if alias.cascade is not None:
        yield from _check_cascade((*at, "cascade"), alias.cascade, names, policies, routing)


def _check_rules(at: Loc, alias: Alias, policies: PolicySet, routing: RoutingPolicy) -> Iterable[Finding]:
    names = [candidate.model for candidate in alias.candidates]
    for place, rule in enumerate(alias.rules):
        here = (*at, "rules", place)
        if rule.use not in names:
            yield Finding((*here, "use"), f"{rule.use!r} is not among the candidates", _near(rule.use, names))
        for number, intent in enumerate(rule.intent):
            if intent not in routing.intents:
                yield Finding(
                    (*here, "intent", number),
                    f"no intent is called {intent!r}",
                    _near(intent, routing.intents),
                )
        if not rule.tenant:
            continue
        tenants = list(policies[TenantsPolicy].tenants) or ["default"]
        for number, tenant in enumerate(rule.tenant):
            if tenant not in tenants:
                near = _near(tenant, tenants)
                yield Finding((*here, "tenant", number), f"no tenant is called {tenant!r}", near)


def _check_cascade(
    at: Loc, cascade: Cascade, names: Sequence[str], policies: PolicySet, routing: RoutingPolicy
) -> Iterable[Finding]:
    if len(names) == 1:
        yield Finding(at, f"{names[0]!r} is the only candidate, so there is nobody to escalate to")
    if "logprobs" not in cascade.gates:
        for limit in ("least_mean_logprob", "least_margin"):
            if getattr(cascade, limit) is not None:
                yield Finding((*at, limit), "only the gate 'logprobs' looks at this, and gates lack it")
    opinion, models = cascade.second_opinion, policies[ModelsPolicy]
    if opinion is not None and models.find(opinion) is None:
        near = _near(opinion, models.models)
        yield Finding((*at, "second_opinion"), f"models.yaml has no {opinion!r}", near)
    if opinion in routing.aliases and opinion not in names:
        yield Finding((*at, "second_opinion"), f"{opinion!r} is an alias itself")


def _near(name: str, names: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(name, list(names))), None)
