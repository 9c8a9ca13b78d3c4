"""What a scorer sees of a prompt: hashes of its words, of its options, and of its shape.

No word is kept, only its CRC-32. That hides nothing from somebody with a dictionary, so weights are sealed
where they are stored like any other record of a tenant.
"""

import re
from collections.abc import Iterable, Set
from dataclasses import dataclass
from itertools import repeat
from math import log2, sqrt
from typing import Final
from zlib import crc32

_WORD: Final = re.compile(rb"[a-z]+|[0-9]|[\x80-\xff]+")
_FIRST_OPTION: Final = re.compile(rb"\n\(?a[.)] ")
_DIGITS: Final = bytes.maketrans(b"123456789", b"0" * 9)
_OPTION_SEED: Final = 77
_ANSWER_SEED: Final = 79
_SHAPE_SEED: Final = 1
_HEAD_BYTES: Final = 1600  # beyond, a prompt says little more about its topic and costs microseconds
_TAIL_BYTES: Final = 800


Scales = tuple[float, float, float]
"""How much a word, an option's or answer's word, and a fact of shape count beside each other."""


@dataclass(frozen=True, slots=True)
class Features:
    """Three sets of hashes: words with their pairs and triples, words of options and answers, shape."""

    words: Set[int]
    options: Set[int]
    shape: Set[int]

    def size(self, scales: Scales) -> float:
        """Give the root of the squared scales of all features; 1 where there are none."""
        words, options, shape = scales
        squares = (
            words * words * len(self.words)
            + options * options * len(self.options)
            + shape * shape * len(self.shape)
        )
        return sqrt(squares) or 1.0

    def with_answer(self, answer: str, shape: Iterable[str]) -> "Features":
        """Add a model's answer: its words and pairs beside the options, and names of what shape it has."""
        words = _WORD.findall(_clipped(answer))
        single = list(map(crc32, words, repeat(_ANSWER_SEED)))
        return Features(
            self.words,
            {*self.options, *single, *map(crc32, words[1:], single)},
            self.shape | hashed(shape),
        )

    def with_shape(self, names: Iterable[str]) -> "Features":
        """Add facts that are known of the request, such as its intent."""
        return Features(self.words, self.options, self.shape | hashed(names))


def hashed(names: Iterable[str]) -> frozenset[int]:
    """Hash names of facts, such as `intent=code`, as they stand in `Features.shape`."""
    return frozenset(crc32(name.encode(), _SHAPE_SEED) for name in names)


def prompt_features(prompt: str) -> Features:
    """Read the features of a prompt, in tens of microseconds."""
    text = _clipped(prompt)
    found = _FIRST_OPTION.search(text)
    cut = found.start() if found else len(text)
    stem, options = text[:cut], text[cut:]
    words = _WORD.findall(stem)
    single = list(map(crc32, words))
    pairs = list(map(crc32, words[1:], single))
    triples = map(crc32, words[2:], pairs)
    return Features(
        {*single, *pairs, *triples},
        set(map(crc32, _WORD.findall(options), repeat(_OPTION_SEED))),
        _shape(text, stem, options, len(prompt)),
    )


def _clipped(text: str) -> bytes:
    if len(text) > _HEAD_BYTES + _TAIL_BYTES:
        text = text[:_HEAD_BYTES] + " " + text[-_TAIL_BYTES:]
    return text.lower().encode("utf-8", "replace")


def _shape(text: bytes, stem: bytes, options: bytes, length: int) -> frozenset[int]:
    """Hash length, digits, lines and the end of the question, each in coarse steps."""
    digits = text.translate(_DIGITS).count(b"0")
    names = (
        b"L%d" % (2 * log2(length + 1)),
        b"S%d" % (2 * log2(len(stem) + 1)),
        b"O%d" % (2 * log2(len(options) + 1)),
        b"D%d" % min(9, 20 * digits // (len(text) + 1)),
        b"N%d" % min(9, stem.count(b"\n")),
        b"P%d" % min(12, stem.count(b". ")),
        b"E" + stem.rstrip()[-1:],
        b"_" if b"__" in stem else b"-",
    )
    return frozenset(map(crc32, names, repeat(_SHAPE_SEED)))
