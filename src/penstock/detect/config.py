"""How a tenant tunes detection: types, thresholds, allow-list and patterns of their own."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from penstock.errors import PenstockError

DEFAULT_THRESHOLD = 0.5


class PatternRefused(PenstockError):
    """A user's pattern can't run in linear time, or isn't a pattern at all."""


@dataclass(frozen=True, slots=True)
class UserPattern:
    """A pattern from the YAML. With `words`, one of them must stand near the value.

    `pattern` is RE2 syntax over Unicode text: no look-around and no back-references, so it is always linear.
    """

    name: str
    type: str
    pattern: str
    words: tuple[str, ...] = ()
    score: float = 0.8


@dataclass(frozen=True, slots=True)
class DetectConfig:
    """What to look for. `types` None means every type; `allow` holds values that are never findings."""

    types: frozenset[str] | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)
    default_threshold: float = DEFAULT_THRESHOLD
    allow: frozenset[str] = frozenset()
    patterns: tuple[UserPattern, ...] = ()
    max_findings: int = 20_000
    """More findings than this in one text are refused, never half redacted."""

    def wants(self, type: str) -> bool:
        """Say whether this type is looked for."""
        return self.types is None or type in self.types

    def threshold(self, type: str) -> float:
        """Give the score from which a finding of this type counts."""
        return self.thresholds.get(type, self.default_threshold)
