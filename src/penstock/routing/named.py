"""Names of a prompt's features, for whoever asks what decided. They hold its words: never log them."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final
from zlib import crc32

from penstock.routing import features as of
from penstock.routing.features import Features
from penstock.routing.weights import Weights

_BINS: Final = (
    ("length in half doublings", of._LENGTH),
    ("length of the question in half doublings", of._STEM),
    ("length of the options in half doublings", of._OPTIONS),
    ("digits, in twentieths", of._DIGIT),
    ("lines", of._LINES),
    ("sentences", of._SENTENCES),
    ("options alike, in tenths", of._ALIKE),
    ("options that are sentences", of._STOPS),
    ("options with numbers", of._HOLD_NUMBERS),
)
_LADDERS: Final = (
    ("longer than 32 characters, half doublings", of._LENGTHS),
    ("more numbers than", of._NUMBERS),
    ("more commas than", of._COMMAS),
)


@dataclass(frozen=True, slots=True)
class Pull:
    """One feature of a prompt, and how much it moved the expected gain."""

    name: str
    gain: float


def pulls(prompt: str, features: Features, weights: Weights, most: int = 5) -> list[Pull]:
    """Give the features that moved the gain most, the strongest first."""
    names, size = named(prompt), features.size(weights.scales)
    present = {*features.words, *features.options, *features.shape}
    found = [Pull(names.get(one, "a fact"), weights.pull(one) / size) for one in present]
    moved = sorted((pull for pull in found if pull.gain), key=lambda pull: -abs(pull.gain))
    return moved[:most]


def named(prompt: str) -> dict[int, str]:
    """Give the name of each feature that this prompt may have, by its hash."""
    return {**dict(_words(prompt)), **dict(_facts(prompt))}


def _words(prompt: str) -> Iterator[tuple[int, str]]:
    stem, options = of._parted(of._clipped(prompt))
    words = of._WORD.findall(stem)
    single = [(crc32(word), word) for word in words]
    pairs = [(crc32(word, before), first + b" " + word) for (before, first), (_, word) in pairwise(single)]
    triples = [
        (crc32(word, before), first + b" " + word)
        for (before, first), word in zip(pairs, words[2:], strict=False)
    ]
    for feature, text in (*single, *pairs, *triples):
        yield feature, repr(text.decode("utf-8", "replace"))
    for word in of._WORD.findall(options):
        yield crc32(word, of._OPTION_SEED), f"option {word.decode('utf-8', 'replace')!r}"


def _facts(prompt: str) -> Iterator[tuple[int, str]]:
    for name, bins in _BINS:
        yield from ((feature, f"{name}: {step}") for step, feature in enumerate(bins))
    for name, ladder in _LADDERS:
        for step, (below, above) in enumerate(pairwise(ladder)):
            yield from ((feature, f"{name}: {step}") for feature in above - below)
    stem, _ = of._parted(of._clipped(prompt))
    begins, ends = stem[:24].split(b" ", 1)[0], stem.rstrip()[-1:]
    yield crc32(b"B" + begins, of._SHAPE_SEED), f"begins with {begins.decode('utf-8', 'replace')!r}"
    yield crc32(b"E" + ends, of._SHAPE_SEED), f"ends with {ends.decode('utf-8', 'replace')!r}"
    yield of._GAP, "has a gap to fill"
    yield of._NO_GAP, "has no gap to fill"
