"""What a chosen option looks like among the others: where its number stands, and how long it is.

Who writes wrong options puts them around the right one: of options that are numbers the extremes are
seldom right, and a small model that chooses one is wrong more often than by its usual share.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import log
from typing import Final, Self

_OPTION: Final = re.compile(r"\n\(?([A-J])[.)] ([^\n]*)")
_NUMBER: Final = re.compile(r"-?\d[\d,]{0,40}\.?\d{0,40}")
_PLACES: Final = 8
_LENGTHS: Final = 4
_LEAST_NUMBERS: Final = 3
_NEAR: Final = 1e-9
_MOST: Final = 1e200  # a number with more digits is as good as this one, and no infinity


@dataclass(frozen=True, slots=True)
class Options:
    """The options of a prompt by their letters, and the first number of those that have one."""

    texts: Mapping[str, str]
    numbers: Mapping[str, float]

    @classmethod
    def of(cls, prompt: str) -> Self:
        """Read the options of a prompt; it may have none."""
        texts = dict(_OPTION.findall(prompt))
        found = {letter: _NUMBER.search(text) for letter, text in texts.items()}
        return cls(texts, {letter: _read(number.group()) for letter, number in found.items() if number})

    def shape(self, choice: str | None) -> Iterator[str]:
        """Name where a choice stands among the options; of what is none of them, that it isn't."""
        if not self.texts:
            return
        every = len(self.numbers) == len(self.texts)
        yield f"place={self._place(choice)}"
        yield f"rank={self._rank(choice)}"
        yield f"numbers={'all' if every else 'some' if self.numbers else 'none'}"

    def apart(self, choice: str | None, other: str | None) -> str:
        """Name how far the numbers of two choices are apart, in quarters of a factor of e."""
        one, two = self.numbers.get(choice or ""), self.numbers.get(other or "")
        if one is None or two is None:
            return "unknown"
        return str(min(8, int(4 * abs(log((abs(one) + _NEAR) / (abs(two) + _NEAR))))))

    def _place(self, choice: str | None) -> str:
        """Say whether a choice is the least or greatest number, or at which eighth between them it is."""
        own = self.numbers.get(choice or "")
        if own is None:
            return "none"
        if len(self.numbers) < _LEAST_NUMBERS:
            return "few"
        below = sum(number < own for number in self.numbers.values())
        above = sum(number > own for number in self.numbers.values())
        if not below or not above:
            return "greatest" if below else "least"
        return str(_PLACES * below // (len(self.numbers) - 1))

    def _rank(self, choice: str | None) -> str:
        """Say at which quarter of the options, by length, a choice is."""
        own = self.texts.get(choice or "")
        if own is None:
            return "none"
        shorter = sum(len(text) < len(own) for text in self.texts.values())
        return str(_LENGTHS * shorter // len(self.texts))


def _read(number: str) -> float:
    return max(-_MOST, min(float(number.replace(",", "")), _MOST))
