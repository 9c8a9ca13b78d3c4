"""Choosing who answers: by rule, by thread, or by what the scorer expects of the larger model."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, tzinfo

from multidict import CIMultiDict

from penstock.models.policy import ModelsPolicy
from penstock.openai.request import Request
from penstock.routing.asked import needs_of, tokens_of
from penstock.routing.policy import Alias, Candidate, Rule


@dataclass(frozen=True, slots=True)
class Asking:
    """A request as rules see it."""

    tenant: str
    intent: str | None
    headers: CIMultiDict[str]
    tokens: int
    now: float
    zone: tzinfo


@dataclass(frozen=True, slots=True)
class Choice:
    """Who answers, who would answer if that fails, and why; `scored` where the scorer decided."""

    candidate: Candidate
    larger: Candidate | None
    why: str
    scored: bool = False


def able(alias: Alias, request: Request, models: ModelsPolicy) -> list[Candidate]:
    """Give the candidates that can answer at all, or all of them where none is known to."""
    needs, tokens = needs_of(request), tokens_of(request)
    found = []
    for candidate in alias.candidates:
        model = models.find(candidate.model)
        if model is not None and needs <= set(model.abilities) and tokens <= model.context_tokens:
            found.append(candidate)
    return found or list(alias.candidates)


def chosen(candidates: Sequence[Candidate], model: str, why: str) -> Choice | None:
    """Choose a model by its name, if it is among the candidates."""
    for place, candidate in enumerate(candidates):
        if candidate.model == model:
            larger = candidates[-1] if place < len(candidates) - 1 else None
            return Choice(candidate, larger, why)
    return None


def ruled(rules: Sequence[Rule], asking: Asking) -> tuple[int, str] | None:
    """Give the first rule that holds: its number, counted from 1, and the model that it names."""
    for number, rule in enumerate(rules, 1):
        if _holds(rule, asking):
            return number, rule.use
    return None


def _holds(rule: Rule, asking: Asking) -> bool:
    return (
        (not rule.intent or asking.intent in rule.intent)
        and (not rule.tenant or asking.tenant in rule.tenant)
        and all(asking.headers.get(name) == value for name, value in rule.header.items())
        and (rule.longer_than_tokens is None or asking.tokens > rule.longer_than_tokens)
        and (rule.hours is None or _within(rule.hours, asking.now, asking.zone))
    )


def _within(hours: str, now: float, zone: tzinfo) -> bool:
    begins, ends = (time.fromisoformat(text) for text in hours.split("-"))
    local = datetime.fromtimestamp(now, zone).time()
    return begins <= local < ends if begins <= ends else local >= begins or local < ends
