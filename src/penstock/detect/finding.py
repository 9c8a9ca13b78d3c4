"""What a detector says about a text."""

from collections.abc import Iterable
from typing import NamedTuple, Protocol


class Finding(NamedTuple):
    """One value in a text. `start` and `end` are character offsets of the text as given, end exclusive."""

    start: int
    end: int
    type: str
    """A canonical class: CREDIT_CARD, EMAIL, SECRET, ..."""
    detector: str
    """The rule's id, such as `secrets.github_pat`."""
    version: str
    checked: bool
    """Whether check digits (or a checksum, or a full parse) passed."""
    score: float
    """0 to 1; 0.5 is the default threshold."""
    context: bool = False
    """Whether a word or a field name near the value speaks for it."""


class Detector(Protocol):
    """Anything that finds values: the shipped rules, or a named-entity model plugged in."""

    name: str
    version: str

    def find(self, text: str) -> Iterable[Finding]:
        """Find values in a text; offsets are those of the text as given."""
