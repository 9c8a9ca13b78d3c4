"""Facts about an answer that say how far to trust it, without asking another model."""

import re
from collections.abc import Iterator, Sequence
from math import log2
from typing import Final

from penstock.routing.arithmetic import equations
from penstock.routing.canonical import Kind, canonical
from penstock.routing.options import Options

_NUMBER: Final = re.compile(r"\d[\d,]*(?:\.\d+)?|\.\d+")
_MOST: Final = 1e200  # a number with more digits is as good as this one, and no infinity
_MARKER: Final = re.compile(
    r"####|\\boxed|(?:final )?answer\s*(?:is|:)|^A:|therefore[,:]? ", re.IGNORECASE | re.MULTILINE
)
HEDGE: Final = re.compile(
    r"\b(?:i'?m not sure|not certain|i think|might be|may be|perhaps|probably|it seems|assum\w+|unclear|"
    r"hard to say|cannot be determined|can't be determined|approximately)\b",
    re.IGNORECASE,
)


def answer_shape(prompt: str, answer: str) -> Iterator[str]:
    """Name the facts of an answer: marker, length, steps, arithmetic, numbers, hedges, how it ends."""
    stripped = answer.strip()
    options = Options.of(prompt)
    if options.texts:
        chosen = canonical(answer, Kind.CHOICE)
        yield from options.shape(chosen.value if chosen else None)
    marker = _MARKER.search(stripped)
    yield f"marker={marker.group()[:4].lower() if marker else ''}"
    yield f"length={int(2 * log2(len(stripped) + 1))}"
    yield f"longer={int(2 * log2((len(stripped) + 1) / (len(prompt) + 1)))}"
    yield f"lines={min(8, stripped.count(chr(10)))}"
    yield f"hedges={min(2, len(HEDGE.findall(stripped)))}"
    yield f"ends={_ending(stripped)}"
    yield from _arithmetic(stripped)
    yield from _numbers(_NUMBER.findall(prompt), _NUMBER.findall(stripped))


def opinion_shape(prompt: str, own: str | None, other: str | None, same: bool | None) -> Iterator[str]:
    """Name what a second opinion says: whether it agrees, and what both answers look like if it does or not.

    `own` and `other` are the values of both answers where they can be compared, such as `B` or `12.5`.
    """
    agrees = f"agrees={same}"
    options = Options.of(prompt)
    yield agrees
    yield f"{agrees}&prompt={int(2 * log2(len(prompt) + 1))}"
    yield f"{agrees}&options={len(options.texts)}"
    yield f"apart={options.apart(own, other)}"
    for whose, value in (("own", own), ("other", other)):
        yield f"{agrees}&{whose}={sort_of(value)}"
        yield from (f"{agrees}&{whose}&{fact}" for fact in options.shape(value))


def sort_of(value: str | None) -> str:
    """Say what a value is: one letter as it is, else a whole number, a fraction, or some text."""
    if value is None or (len(value) == 1 and value.isalpha()):
        return str(value)
    try:
        return "whole" if float(value) % 1 == 0 else "fraction"
    except ValueError:
        return "text"


def _ending(answer: str) -> str:
    last = answer[-1:]
    return "digit" if last.isdigit() else "letter" if last.isalpha() else last


def _arithmetic(answer: str) -> Iterator[str]:
    """Say how many equations there are, how many are wrong, and whether the last one gives the answer."""
    found = list(equations(answer))
    wrong = sum(not equation.holds() for equation in found)
    yield f"equations={min(9, len(found))}"
    yield f"wrong={min(2, wrong)}" if found else "wrong=unknown"
    if found:
        yield f"negative={any(equation.left < 0 for equation in found)}"
        yield f"fraction={any(equation.left % 1 for equation in found)}"
        yield f"last_fraction={bool(found[-1].left % 1)}"
        numbers = _NUMBER.findall(answer)
        yield f"last_is_result={bool(numbers) and abs(_read(numbers[-1]) - found[-1].right) < 0.01}"


def _numbers(asked: Sequence[str], answered: Sequence[str]) -> Iterator[str]:
    """Say how the numbers of the prompt are used and what the last number of the answer looks like."""
    if not answered:
        yield "numbers=none"
        return
    used = {_read(number) for number in answered}
    unused = sum(_read(number) not in used for number in asked)
    last = _read(answered[-1])
    yield f"unused={min(3, unused)}"
    yield f"asked={min(9, len(asked))}"
    yield f"numbers={min(12, int(2 * log2(len(answered))))}"
    yield f"whole={last % 1 == 0}"
    yield f"size={int(log2(last + 1))}"
    yield f"last_was_asked={last in {_read(number) for number in asked}}"
    yield f"last_seen={min(3, sum(_read(number) == last for number in answered))}"


def _read(number: str) -> float:
    return min(float(number.replace(",", "")), _MOST)
