"""policies/redaction.yaml: what is looked for, what is done with it, and what may pass unread."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from penstock.detect import DetectConfig, Engine, PatternRefused, UserPattern
from penstock.detect.rules import known_types
from penstock.policy.base import Finding, Policy, PolicySet, StagePolicy
from penstock.redaction.actions import Action, FileRule
from penstock.redaction.plugged import plugged_in

ActionWord = Literal["placeholder", "mask", "hash", "synthetic", "block", "allow"]
Type = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
Share = Annotated[float, Field(ge=0, le=1)]


class Pattern(Policy):
    """A pattern of one's own. It runs in linear time: no look-around, no back-references (RE2 syntax)."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$", description="The rule's name in the audit trail.")
    type: Type = Field(description="The type its findings have, a shipped one or a new one.")
    pattern: str = Field(min_length=1, max_length=1000, description="RE2 syntax.")
    words: tuple[str, ...] = Field(
        default=(), description="Words of which one must stand near the value; none asks for none."
    )


class Tuning(Policy):
    """What a tenant may have of its own, laid over what stands above."""

    actions: dict[Type, ActionWord] = Field(default={}, description="What is done with a value, by type.")
    thresholds: dict[Type, Share] = Field(
        default={}, description="The score from which a finding counts, by type; 0.5 if not named."
    )
    allow: tuple[str, ...] = Field(
        default=(), description="Values that are never findings, such as a public support address."
    )


class RedactionPolicy(StagePolicy):
    """Personal data and secrets: found in every field, replaced on the way up, restored on the way back."""

    file = "redaction"

    on_failure: Literal["reject"] = Field(
        default="reject", description="A request that can't be read is refused: 503 `redaction_unavailable`."
    )
    direction: Literal["request", "response", "both"] = Field(
        default="both",
        description="`request` replaces what clients send; `response` reads what models answer, for values "
        "that are not the client's own.",
    )
    types: tuple[Type, ...] | None = Field(
        default=None, description="The types that are looked for; null looks for all."
    )
    default_action: ActionWord = Field(default="placeholder", description="The action of types not named.")
    actions: dict[Type, ActionWord] = Field(
        default={},
        description="By type: `placeholder` is restored on the way back, as is `synthetic`, a stand-in of "
        "the same form; `mask` and `hash` are not; `block` refuses with 400; `allow` lets pass.",
    )
    thresholds: dict[Type, Share] = Field(
        default={}, description="The score from which a finding counts, by type; 0.5 if not named."
    )
    allow: tuple[str, ...] = Field(default=(), description="Values that are never findings.")
    patterns: tuple[Pattern, ...] = Field(default=(), description="Patterns of your own.")
    structural: Literal["block", "allow"] = Field(
        default="block",
        description="What happens to a value where nothing can be replaced: a model's name, an id, an URL.",
    )
    files: Literal["scan", "block", "allow"] = Field(
        default="scan",
        description="Files and images in base64: `scan` reads text files and blocks the others.",
    )
    unread: tuple[Annotated[str, Field(pattern=r"^/")], ...] = Field(
        default=(),
        description="Paths below /v1 that may pass although nobody can read them, such as `/files`; with all "
        "that stands below them. The others get 403 `redaction_unread`.",
    )
    audit_heads: str | None = Field(
        default=None,
        description="A file for the audit trail's signed heads, best on another machine; read at start.",
    )
    time_budget_ms: Annotated[float, Field(gt=0, le=60_000)] = Field(
        default=2000.0, description="How long reading one request, or one answer that is no stream, may take."
    )
    tenants: dict[str, Tuning] = Field(default={}, description="What single tenants have of their own.")

    def check(self, policies: PolicySet) -> Iterable[Finding]:
        """Find patterns that can't run in linear time, and types that no rule ever finds."""
        known = {*known_types(), "FILE", *(pattern.type for pattern in self.patterns)}
        for key in ("actions", "thresholds"):
            for type in getattr(self, key):
                if type not in known and not plugged_in():
                    near = next(iter(difflib.get_close_matches(type, known)), None)
                    yield Finding((key, type), f"no rule finds the type {type!r}", near)
        for place, pattern in enumerate(self.patterns):
            try:
                Engine(DetectConfig(types=frozenset(), patterns=(_of(pattern),)))
            except PatternRefused as refused:
                yield Finding(("patterns", place, "pattern"), str(refused))

    def rules(self, tenant: str) -> "Rules":
        """Give what holds for a tenant."""
        own = self.tenants.get(tenant, Tuning())
        words: Mapping[str, ActionWord] = {"*": self.default_action, **self.actions, **own.actions}
        config = DetectConfig(
            types=None if self.types is None else frozenset(self.types),
            thresholds={**self.thresholds, **own.thresholds},
            allow=frozenset((*self.allow, *own.allow)),
            patterns=tuple(_of(pattern) for pattern in self.patterns),
        )
        actions = {type: Action(word) for type, word in words.items()}
        return Rules(config, actions, FileRule(self.files))

    def lets_pass_unread(self, path: str) -> bool:
        """Say whether a path of an endpoint nobody can read is listed."""
        return any(path == listed or path.startswith(listed.rstrip("/") + "/") for listed in self.unread)


@dataclass(frozen=True, slots=True)
class Rules:
    """What holds for one tenant."""

    config: DetectConfig
    actions: Mapping[str, Action]
    files: FileRule


def _of(pattern: Pattern) -> UserPattern:
    return UserPattern(pattern.name, pattern.type, pattern.pattern, pattern.words)
