"""Telephone numbers: international, North American, and local ones that a word announces."""

# ruff: noqa: E501 (a pattern or a list of words reads best in one line)

import re
from collections.abc import Iterator

from penstock.detect.finding import Finding
from penstock.detect.probe import ALONE, CHECKED, CONTEXT, SEPARATORS, SHAPE, VERSION, Probe
from penstock.detect.source import Source

_NUMBER = re.compile(
    rb"[+(0-9](?=[0-9 ().\-/\n]{6})(?:(?<=[0-9])|[0-9])(?:[ ().\-/\n]{0,3}+[0-9]){6,}+(?:[ ,]{0,2}(?:x|ext\.?|#)[ .]?[0-9]{1,6})?"
)
"""On `re`, faster than RE2 here. Possessive throughout: it never goes back, so it stays linear. The look ahead is for speed."""
_EXTENSION = re.compile(r"[ ,]{0,2}(?:x|ext\.?|#)[ .]?\d{1,6}$")
_NORTH_AMERICAN = re.compile(r"(?:(?:\+|00)?1[ .-]?)?(?:\([2-9]\d\d\)[ \n-]?|[2-9]\d\d[.-])\d{3}[ .-]\d{4}")
_NORTH_AMERICAN_BARE = re.compile(r"(?:\+?1[ -]?)?[2-9]\d\d[ -]?[2-9]\d\d[ -]?\d{4}")
_TRUNK = re.compile(r"\(?0\d{1,4}\)?(?:[ ./-]\d{2,4}){2,4}|\(0\d{1,4}\) ?\d[\d -]{4,9}\d")
_AREA = re.compile(r"\(\d{2,4}\) ?\d{3,4}[ -]?\d{3,4}")
_DATE = re.compile(r"(?:19|20)\d\d[-/.]\d?\d[-/.]\d?\d(?!\d)|\d?\d[-/.]\d?\d[-/.](?:19|20)\d\d(?!\d)")
_SHAPES_OF_OTHERS = re.compile(
    r"\d{3}-\d{2}-\d{4}|\d{1,3}(?:\.\d{1,3}){3}|\d{4}([ -]\d{4}){3}|[\d]+\.\d+|\d{6}-\d{7}|\d{11,}\.?|(?:19|20)\d\d ?- ?(?:19|20)\d\d"
)
_STRANGERS = ("order", "version", "ssn", "natid", "tax", "itin", "pesel", "account", "iban", "routing", "card", "passport", "licence",
              "plate", "org", "birth")  # fmt: skip
# Country calling codes of ITU-T E.164.
_CODES = frozenset(
    """1 7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 81 82 84 86 90 91 92
    93 94 95 98 211 212 213 216 218 220 221 222 223 224 225 226 227 228 229 230 231 232 233 234 235 236 237 238 239 240 241 242
    243 244 245 246 247 248 249 250 251 252 253 254 255 256 257 258 260 261 262 263 264 265 266 267 268 269 290 291 297 298 299
    350 351 352 353 354 355 356 357 358 359 370 371 372 373 374 375 376 377 378 379 380 381 382 383 385 386 387 389 420 421 423
    500 501 502 503 504 505 506 507 508 509 590 591 592 593 594 595 596 597 598 599 670 672 673 674 675 676 677 678 679 680 681
    682 683 685 686 687 688 689 690 691 692 800 808 850 852 853 855 856 870 878 880 881 882 883 886 888 960 961 962 963 964 965
    966 967 968 970 971 972 973 974 975 976 977 979 992 993 994 995 996 998""".split()
)


def is_international(digits: str) -> bool:
    """Say whether digits after a plus sign begin with a country code and have a length E.164 allows."""
    return 8 <= len(digits) <= 15 and any(digits[:size] in _CODES for size in (1, 2, 3))


_LONGEST = 2000
"""A longer run of digits and brackets is a table of numbers, not of telephones."""


def _phones(source: Source) -> Iterator[Finding]:
    plain = source.plain
    for match in _NUMBER.finditer(source.data):
        start, end = match.span()
        if start and plain[start - 1].isalnum():
            continue
        if plain[start:end].isdigit() and not (source.alone or source.words_near(start, end)):
            continue
        for part_start, part_end in _parts(plain, start, end):
            score, context = _judge(source, part_start, part_end)
            if score:
                yield Finding(part_start, part_end, "PHONE", "phone", VERSION, False, score, context)


def _parts(plain: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut where a line ends or where two numbers follow each other."""
    text = plain[start:end]
    if end - start > _LONGEST:
        return
    if "\n" not in text and end - start <= 24:
        yield start, end
        return
    for piece in re.finditer(r"[^\n]+", text):
        if sum(char.isdigit() for char in piece.group()) > 5:
            stripped = piece.group().rstrip(" (-./")
            yield start + piece.start(), start + piece.start() + len(stripped)


def _judge(source: Source, start: int, end: int) -> tuple[float, bool]:
    plain = source.plain
    if _DATE.match(plain, start, end) or not _bounded(plain, start, end):
        return 0, False
    text = plain[start:end]
    main = _EXTENSION.sub("", text) if "x" in text or "#" in text else text
    digits = main.encode("latin-1").translate(None, _BETWEEN).decode("latin-1")
    if not 7 <= len(digits.lstrip("+")) <= 20:
        return 0, False
    context = source.context(start, end)
    called = context.says("phone") and (context.gap <= 6 or not context.ahead)
    if main[0] == "+" and is_international(digits[1:]):
        return CHECKED, called
    if called and not _SHAPES_OF_OTHERS.fullmatch(main) and len(digits) <= 15:
        return CONTEXT, True
    if called and digits.isdigit() and 7 <= len(digits) <= 15 and "." not in main:
        return CONTEXT, True
    if context.says(*_STRANGERS) and not (context.says("order") and _NORTH_AMERICAN.fullmatch(main)):
        return 0, False
    if _NORTH_AMERICAN.fullmatch(main) or (len(text) > len(main) and _NORTH_AMERICAN_BARE.fullmatch(main)):
        return SHAPE, False
    if main.startswith("00") and is_international(digits[2:]) and main != digits:
        return SHAPE, False
    if (_TRUNK.fullmatch(main) and 8 <= len(digits) <= 11) or (
        _AREA.fullmatch(main) and 8 <= len(digits) <= 11
    ):
        return SHAPE, False
    if source.is_alone(start, end) and len(digits) in (10, 11) and len(main) > len(digits) + 1:
        return ALONE, False
    return 0, False


_BETWEEN = SEPARATORS + b"()"


def _bounded(plain: str, start: int, end: int) -> bool:
    left, right = plain[start - 1 : start], plain[end : end + 1]
    if start and (
        left.isalnum() or left in "_$%&+*^" or (left in ".,-/=" and plain[max(0, start - 2)].isalnum())
    ):
        return False
    if right and (right.isalnum() or right in "_%"):
        return False
    return not (right in ("-", "/", ".", ",", "(") and plain[end + 1 : end + 2].isalnum())


PROBES = [Probe("phone", frozenset({"PHONE"}), (r"[0-9](?:[ ().\-/\n]{0,3}[0-9]){6}",), _phones)]
