"""Telephone numbers: international, North American, and local ones that a word announces."""

# ruff: noqa: E501 (a pattern or a list of words reads best in one line)

import re
from collections.abc import Iterator

from penstock.detect.finding import Finding
from penstock.detect.probe import ALONE, CHECKED, CONTEXT, SEPARATORS, SHAPE, VERSION, Probe
from penstock.detect.source import Source
from penstock.detect.words import Context

_NUMBER = re.compile(
    rb"[+(0-9](?=[0-9 ().\-/\n]{6})(?:(?<=[0-9])|[0-9])(?:[ ().\-/\n]{0,3}+[0-9]){6,}+(?:[ ,]{0,2}(?:x|ext\.?|#)[ .]?[0-9]{1,6}+(?![0-9A-Za-z]|[ .\-/][0-9]))?"
)
"""On `re`, faster than RE2 here. Possessive throughout: it never goes back, so it stays linear. The look ahead is for speed."""
_EXTENSION = re.compile(r"[ ,]{0,2}(?:x|ext\.?|#)[ .]?\d{1,6}$")
_NORTH_AMERICAN = re.compile(r"(?:(?:\+|00)?1[ .-]?)?(?:\([2-9]\d\d\)[ \n-]?|[2-9]\d\d[.-])\d{3}[ .-]\d{4}")
_NORTH_AMERICAN_BARE = re.compile(r"(?:\+?1[ -]?)?[2-9]\d\d[ -]?[2-9]\d\d[ -]?\d{4}")
_TRUNK = re.compile(r"\(?0\d{1,4}\)?(?:[ ./-]\d{2,4}){2,4}|\(0\d{1,4}\) ?\d[\d -]{4,9}\d")
_AREA = re.compile(r"\(\d{2,4}\) ?\d{3,4}[ -]?\d{3,4}")
# What is found among other numbers: a form that says what it is. Each takes only so many digits.
_LED = re.compile(
    r"\+(?:1[ .-]?(?:\([2-9]\d\d\)[ .-]?|[2-9]\d\d[ .-]?)\d{3}[ .-]?\d{4}|(?:[ ().\-/]{0,3}\d){8,15})(?![\-./(]?\d)"
    r"|\((?:[2-9]\d\d\)[ -]?\d{3}[ .-]\d{4}|0\d{1,4}\) ?\d[\d -]{4,9}\d|\d{2,4}\) ?\d{3,4}[ -]?\d{3,4})(?!\d)"
    r"|\d(?<!\d\d)(?:(?<=1)[ .-]\(?[2-9]\d\d\)?[ .-]\d{3}[ .-]\d{4}|(?<=[2-9])\d\d[.-]\d{3}[ .-]\d{4})(?!\d)"
    r"|0(?<!\d0)(?<!\d[ ./\-]0)\d{1,4}(?:[ ./-]\d{2,4}){2,4}(?=\Z| \()"
)
_ANNOUNCED = re.compile(r"[+(]?\d(?:[ ().\-/]{0,3}\d){6,14}(?!\d)")
"""As many groups as can be one number: what a word such as `phone` takes of a row of numbers."""
_APART = re.compile(r"\n[ \n]*| (?: *\n[ \n]*| +|[/.\-]+ )")
"""What stands between two numbers rather than within one."""
_CUTS = re.compile(r"[ (+]")
_EXTENSION_CHARS = 16
_SIGN = re.compile(r"[+(x#.\-0](?:(?<=[+(x#])|(?<=\d{3}[.\-])\d{3}|(?<=0)(?<!\d0)\d)")
"""A number without one of these needs a word."""
_WHOLE = 24
"""The longest run that can be one number; a longer one is several."""
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


def _phones(source: Source) -> Iterator[Finding]:
    plain = source.plain
    for start, end in _runs(source):
        if start and plain[start - 1].isalnum():
            start = _after_word(plain, start, end)
            if end - start < _FEWEST:
                continue
        if plain[start] == "(" and ")" not in plain[start:end]:
            start += 1
        if not (source.alone or source.words_near(start, end) or _SIGN.search(plain, start, end)):
            continue
        if end - start <= _WHOLE and "\n" not in plain[start:end]:
            found = _judge(source, start, end)
            if found is not None:
                yield found
                continue
            if _CUTS.search(plain, start + 1, end) is None:
                continue
        yield from _among_others(source, start, end)


def _runs(source: Source) -> Iterator[tuple[int, int]]:
    """Give each run of digits and what people write between them, with the extension after it."""
    for first, last in source.runs():
        if not (
            source.alone or source.words_near(first, last) or _SIGN.search(source.plain, first, last + 3)
        ):
            continue
        for match in _NUMBER.finditer(source.data, first, last + _EXTENSION_CHARS):
            if match.start() >= last:
                break
            yield match.span()


def _after_word(plain: str, start: int, end: int) -> int:
    """Give where the next group begins when the first hangs on a word."""
    while start < end and plain[start].isdigit():
        start += 1
    return start


def _among_others(source: Source, start: int, end: int) -> Iterator[Finding]:
    """Find the numbers in a run of groups that is not one number: each part of it by itself, then what leads itself."""
    for first, last in _parts(source.plain, start, end):
        if not (source.words_near(first, last) or _SIGN.search(source.plain, first, last)):
            continue
        whole = _judge(source, first, last) if last - first <= _WHOLE and last - first < end - start else None
        if whole is not None:
            yield whole
            continue
        announced = _announced(source, first, last)
        if announced is not None:
            yield announced
            first = announced.end
        for match in _LED.finditer(source.plain, first, last):
            found = _judge(source, *match.span())
            if found is not None:
                yield found


def _parts(plain: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Cut where one number ends for sure."""
    at = start
    for gap in _APART.finditer(plain, start, end):
        if gap.start() - at >= _FEWEST:
            yield at, gap.start()
        at = gap.end()
    while end > at and plain[end - 1] in " (-./":
        end -= 1
    if end - at >= _FEWEST:
        yield at, end


def _announced(source: Source, start: int, end: int) -> Finding | None:
    """Take the first groups after a word."""
    if not source.words_near(start, start):
        return None
    context = source.context(start, end)
    if not (context.ahead and context.says("phone") and context.gap <= _NEAR):
        return None
    match = _ANNOUNCED.match(source.plain, start, end)
    return _judge(source, *match.span()) if match else None


def _judge(source: Source, start: int, end: int) -> Finding | None:
    plain = source.plain
    if _DATE.match(plain, start, end):
        return None
    text = plain[start:end]
    if end - start > _LONGEST and text.isdigit():
        return None
    main = _EXTENSION.sub("", text) if "x" in text or "#" in text else text
    digits = main.encode("latin-1").translate(None, _BETWEEN).decode("latin-1")
    if not _FEWEST <= len(digits.lstrip("+")) <= _MOST:
        return None
    context = source.context(start, end)
    called = context.says("phone") and (context.gap <= _NEAR or not context.ahead)
    if not _bounded(plain, start, end, loose=called or main != digits):
        return None
    score = _score(source, start, end, (text, main, digits), context, called)
    if not score:
        return None
    return Finding(start, end, "PHONE", "phone", VERSION, False, score, called and score != SHAPE)


def _score(
    source: Source, start: int, end: int, forms: tuple[str, str, str], context: Context, called: bool
) -> float:
    text, main, digits = forms
    if main[0] == "+" and is_international(digits[1:]):
        return CHECKED
    if called and _may_be_called(main, digits):
        return CONTEXT
    if context.says(*_STRANGERS) and not (context.says("order") and _NORTH_AMERICAN.fullmatch(main)):
        return 0
    if _NORTH_AMERICAN.fullmatch(main) or (len(text) > len(main) and _NORTH_AMERICAN_BARE.fullmatch(main)):
        return SHAPE
    if main.startswith("00") and is_international(digits[2:]) and main != digits:
        return SHAPE
    if 8 <= len(digits) <= 11 and (_TRUNK.fullmatch(main) or _AREA.fullmatch(main)):
        return SHAPE
    if len(digits) in (10, 11) and len(main) > len(digits) + 1 and source.is_alone(start, end):
        return ALONE
    return 0


def _may_be_called(main: str, digits: str) -> bool:
    """Say whether what a word calls a number has none of the forms of other things."""
    if len(digits) > _LONGEST:
        return False
    return (digits.isdigit() and "." not in main) or not _SHAPES_OF_OTHERS.fullmatch(main)


_BETWEEN = SEPARATORS + b"()"
_FEWEST, _MOST, _LONGEST = 7, 20, 15
_NEAR = 6
"""Words that may stand between a word such as `call` and the number."""


def _bounded(plain: str, start: int, end: int, *, loose: bool) -> bool:
    """Say whether neither a word nor another number goes on here; `loose`: it has groups or a name.

    Bare digits beside a comma or an equals sign may be a part of an amount or a sum, groups are none.
    """
    left, right = plain[start - 1 : start], plain[end : end + 1]
    if start and not _ends_before(left, plain[start - 2 : start - 1], loose=loose):
        return False
    if right and (right.isalnum() or right == "%" or (right == "_" and plain[end + 1 : end + 2].isalnum())):
        return False
    joins = "-/.(" if loose else "-/.,("
    return not (right and right in joins and plain[end + 1 : end + 2].isalnum())


def _ends_before(left: str, further: str, *, loose: bool) -> bool:
    if left.isalnum() or left in "$%&+^":
        return False
    joins = ".-/*_" if loose else ".-/*_,="
    return left not in joins or not further.isalnum()


PROBES = [Probe("phone", frozenset({"PHONE"}), (r"[0-9](?:[ ().\-/\n]{0,3}[0-9]){6}",), _phones)]
