"""What a scorer sees of a prompt: hashes of its words, of its options, and of its shape.

No word is kept, only its CRC-32. That hides nothing from somebody with a dictionary, so weights are sealed
where they are stored like any other record of a tenant.
"""

import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from itertools import repeat
from math import log2, sqrt
from typing import Final
from zlib import crc32

FEATURES: Final = 2
"""The version of what is hashed, here and of answers: what another one taught says nothing of these."""

_WORD: Final = re.compile(rb"[a-z]+|[0-9]|[\x80-\xff]+")
_FIRST_OPTION: Final = re.compile(rb"\n\(?a[.)] ")
_NUMBER: Final = re.compile(rb"[0-9][0-9,]*(?:\.[0-9]+)?")
_NUMBERED: Final = re.compile(rb"\n\(?[a-j][.)] [^\n]*[0-9]")
_COUNTED: Final = frozenset(
    b"one two three four five six seven eight nine ten twice half third quarter double triple dozen each "
    b"every per times percent remaining left total altogether if after then rest another than".split()
)
_DIGITS: Final = bytes.maketrans(b"123456789", b"0" * 9)
_SHAPE_SEED: Final = 1 << 16  # seeds differ above the lowest byte, or one letter would be another's fact
_OPTION_SEED: Final = 2 << 16
_ANSWER_SEED: Final = 3 << 16
_HEAD_BYTES: Final = 800  # beyond, a prompt says little more about its topic and costs microseconds
_TAIL_BYTES: Final = 400


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
    stem, options = _parted(text)
    words = _WORD.findall(stem)
    single = list(map(crc32, words))
    pairs = list(map(crc32, words[1:], single))
    triples = map(crc32, words[2:], pairs)
    chosen = _WORD.findall(options)
    return Features(
        {*single, *pairs, *triples},
        set(map(crc32, chosen, repeat(_OPTION_SEED))),
        _shape(text, stem, options, chosen, len(prompt)) | _steps(stem, words, len(prompt)),
    )


def _parted(text: bytes) -> tuple[bytes, bytes]:
    """Part a question from its options, if it has any."""
    found = _FIRST_OPTION.search(text)
    cut = found.start() if found else len(text)
    return text[:cut], text[cut:]


def _clipped(text: str) -> bytes:
    if len(text) > _HEAD_BYTES + _TAIL_BYTES:
        text = text[:_HEAD_BYTES] + " " + text[-_TAIL_BYTES:]
    return text.lower().encode("utf-8", "replace")


def _shape(text: bytes, stem: bytes, options: bytes, chosen: Sequence[bytes], length: int) -> frozenset[int]:
    """Hash length, digits, lines, how the question begins and ends, and what its options look like."""
    digits = text.translate(_DIGITS).count(b"0")
    found = {
        _LENGTH[int(2 * log2(length + 1))],
        _STEM[int(2 * log2(len(stem) + 1))],
        _OPTIONS[int(2 * log2(len(options) + 1))],
        _DIGIT[min(9, 20 * digits // (len(text) + 1))],
        _LINES[min(9, stem.count(b"\n"))],
        _SENTENCES[min(12, stem.count(b". "))],
        crc32(b"B" + stem[:24].split(b" ", 1)[0], _SHAPE_SEED),
        crc32(b"E" + stem.rstrip()[-1:], _SHAPE_SEED),
        _GAP if b"__" in stem else _NO_GAP,
    }
    if chosen:  # options that repeat each other's words, are sentences, or hold numbers
        found.add(_ALIKE[10 * len(set(chosen)) // len(chosen)])
        found.add(_STOPS[min(9, options.count(b".\n"))])
        found.add(_HOLD_NUMBERS[min(10, len(_NUMBERED.findall(options)))])
    return frozenset(found)


def _steps(stem: bytes, words: Sequence[bytes], length: int) -> frozenset[int]:
    """Hash how long a question is and how many numbers and parts it has, as steps of ladders."""
    numbers = len(_NUMBER.findall(stem)) + len(_COUNTED.intersection(words)) // 2
    return (
        _on(_LENGTHS, int(2 * log2(length + 1)) - 10)
        | _on(_NUMBERS, numbers)
        | _on(_COMMAS, stem.count(b","))
    )


def _bins(name: bytes, count: int) -> tuple[int, ...]:
    """Give the hash of each coarse step of one fact."""
    return tuple(crc32(b"%s%d" % (name, step), _SHAPE_SEED) for step in range(count))


def _ladder(name: bytes, count: int) -> tuple[frozenset[int], ...]:
    """Give, for each height, the hashes of all steps below it: what is close shares most of them."""
    steps = [crc32(b"%s>%d" % (name, step), _SHAPE_SEED) for step in range(count)]
    return tuple(frozenset(steps[:height]) for height in range(count + 1))


def _on(ladder: Sequence[frozenset[int]], height: int) -> frozenset[int]:
    return ladder[max(0, min(height, len(ladder) - 1))]


_LENGTHS: Final = _ladder(b"L", 13)  # half doublings, from 32 to 3000 characters
_NUMBERS: Final = _ladder(b"N", 14)
_COMMAS: Final = _ladder(b",", 8)

_LENGTH: Final = _bins(b"L", 128)  # half doublings, as are the next two
_STEM: Final = _bins(b"S", 128)
_OPTIONS: Final = _bins(b"O", 128)
_DIGIT: Final = _bins(b"D", 10)
_LINES: Final = _bins(b"N", 10)
_SENTENCES: Final = _bins(b"P", 13)
_ALIKE: Final = _bins(b"A", 11)
_STOPS: Final = _bins(b"T", 10)
_HOLD_NUMBERS: Final = _bins(b"C", 11)
_GAP: Final = crc32(b"_", _SHAPE_SEED)
_NO_GAP: Final = crc32(b"-", _SHAPE_SEED)
