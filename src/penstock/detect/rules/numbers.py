"""Identifiers that are all digits. The nearest word says which; the check digit says whether.

One pass cuts the text into groups of digits. Each group is judged once for all classes, so that a passport number next to
an account number goes to the nearer word, and an order number to none.
"""

# ruff: noqa: E501 (a pattern or a list of words reads best in one line)

import re
from collections.abc import Iterator

from penstock.detect.checks import one_digit_repeated
from penstock.detect.checks_world import us_aba, us_itin, us_ssn
from penstock.detect.finding import Finding
from penstock.detect.probe import CHECKED, CONTEXT, SEPARATORS, SHAPE, VERSION, Probe, bare
from penstock.detect.rules.number_kinds import BY_LENGTH, FORMS, WRITTEN
from penstock.detect.source import Source
from penstock.detect.words import Context

_GROUP = re.compile(rb"[0-9OIl](?=[0-9OIl .\-/\n]{6})(?:[ .\-/\n]?+[0-9OIl]){6,}+")
"""On `re`, faster than RE2 here. Possessive throughout: it never goes back, so it stays linear. The look ahead is for speed."""
_LOOKS_LIKE = bytes.maketrans(b"OIl", b"011")
_SSN_SPACED = re.compile(r"\d{3}([ .-])\d{2}\1\d{4}")
_SSN_CHARS = 11
_SSN_DASHED = re.compile(r"\d{3}-\d{2}-\d{4}")
_DATE = re.compile(r"(?:19|20)\d\d[-/.][01]?\d[-/.][0-3]?\d\b|[0-3]?\d[-/.][0-3]?\d[-/.](?:19|20)\d\d\b")
_SPEAKS = re.compile("|".join((_SSN_DASHED.pattern, *FORMS)))
"""Written like this, a number needs no words."""
_SPEAKING_PIECE = re.compile(rf"(?<![^ \n/])(?=[^ \n/]{{11}})(?:{_SPEAKS.pattern})(?![^ \n/])")
_LEAD = re.compile(r"[OIl]+[ .\-/\n]")
_TRAIL = re.compile(r"[ .\-/\n][OIl]+$")
_PARTED = re.compile(r"[ \n/]")
_PIECE = re.compile(r"[^ \n/]{7,}")
_SPACED = re.compile(r"[12](?<![^ \n][12]) \d\d \d\d \d\d \d{3} \d{3} \d\d(?![^ \n])")
"""The one form with spaces that needs no words: a French social number."""
_NEXT = re.compile(r"\d(?=[ .\-/\n]|$)")
_REACH = 40
"""As far as a word's number may go on over groups of digits."""
_LETTERS = ("O", "I", "l")
_LONGEST = 60
_TELLING = (15, 18)
"""Bare digits so many need no words: a French social number, a Chinese resident number."""
_MIN_DIGITS, _MOST_DIGITS = 7, 26
_CLOSE = 4
"""Words that may stand between a keyword and a value without check digits."""

# Without a check digit: the class a nearest word gives, the lengths it takes.
_BY_WORD = {
    "pesel": ("NATIONAL_ID", "numbers.pesel", (11,)),
    "natid": ("NATIONAL_ID", "numbers.national", tuple(range(9, 16))),
    "tax": ("TAX_ID", "numbers.tax", tuple(range(8, 15))),
    "itin": ("TAX_ID", "numbers.itin", (9,)),
    "org": ("ORG_ID", "numbers.organisation", (8, 9, 10, 14)),
    "passport": ("PASSPORT", "numbers.passport", (7, 8, 9)),
    "licence": ("DRIVER_LICENSE", "numbers.licence", tuple(range(7, 15))),
    "account": ("BANK_ACCOUNT", "numbers.account", (*range(7, 19), 26)),
    "routing": ("BANK_ROUTING", "numbers.routing", (8, 9)),
}


_CHECKED_LENGTHS = range(min(BY_LENGTH), max(BY_LENGTH) + 1)
_COUNTED = {word: frozenset((*lengths, *_CHECKED_LENGTHS)) for word, (_, _, lengths) in _BY_WORD.items()}
_COUNTED |= {
    word: frozenset(_BY_WORD[word][2]) for word in ("passport", "licence", "account", "routing", "itin")
}
_COUNTED |= {"ssn": frozenset((9,)), "someid": frozenset(_CHECKED_LENGTHS)}
"""How many digits a number can have that a word announces."""


def _groups(source: Source) -> Iterator[Finding]:
    plain = source.plain
    for start, end in _runs(source):
        text = plain[start:end]
        if text.isdigit():
            if end - start > _MOST_DIGITS or not (
                source.alone or end - start in _TELLING or source.words_near(start, end)
            ):
                continue
        elif text[0] in _LETTERS or text[-1] in _LETTERS:
            start, end = _trimmed(plain, start, end)
            text = plain[start:end]
        elif _DATE.fullmatch(text):
            continue
        if start and plain[start - 1] == "+":
            continue  # a telephone number
        if start and plain[start - 1].isalnum() and "-" not in plain[start:end]:
            continue  # the end of a hash
        if not text[:1].isdigit() and not any(char.isdigit() for char in text):
            continue
        found = _judge(source, start, end) if end - start <= _LONGEST else None
        if found is None and _PARTED.search(text) is not None:
            found = _announced(source, start, end)
            yield from _pieces(source, start, text, found.end if found else start)
        if found is not None:
            yield found


def _runs(source: Source) -> Iterator[tuple[int, int]]:
    for first, last in source.runs():
        for match in _GROUP.finditer(source.data, first, last):
            yield match.span()


def _trimmed(plain: str, start: int, end: int) -> tuple[int, int]:
    """Leave out letters that look like digits where they end or begin a word of their own: NPI 1234567893."""
    lead = _LEAD.match(plain, start, end)
    trail = _TRAIL.search(plain, max(start, end - 4), end)
    return lead.end() if lead else start, trail.start() if trail else end


def _announced(source: Source, start: int, end: int) -> Finding | None:
    """Take the groups of digits right after a word that make the longest number of its kind."""
    if not source.words_near(start, start):
        return None
    context = source.context(start, end)
    lengths = _COUNTED.get(context.nearest)
    if lengths is None or not context.ahead or context.gap > _CLOSE:
        return None
    best: Finding | None = None
    for group in _NEXT.finditer(source.plain, start + _MIN_DIGITS - 1, min(end, start + _REACH)):
        if len(source.data[start : group.end()].translate(None, SEPARATORS)) not in lengths:
            continue
        found = _judge(source, start, group.end())
        if found is None or (best is not None and best.checked > found.checked):
            continue
        best = found
        if " " not in source.plain[start : group.end()]:
            break
    return best


def _pieces(source: Source, start: int, text: str, after: int) -> Iterator[Finding]:
    """Judge the long parts of a group: numbers in neighbouring columns or lines run together in one match."""
    quiet = not source.words_near(start, start + len(text)) and not source.alone
    for pattern in (_SPEAKING_PIECE if quiet else _PIECE, _SPACED):
        for match in pattern.finditer(text, after - start):
            first, last = match.span()
            found = _judge(source, start + first, start + last)
            if found is not None:
                yield found


def _judge(source: Source, start: int, end: int) -> Finding | None:
    text = source.plain[start:end]
    if not (source.alone or source.words_near(start, end) or _SPEAKS.fullmatch(text)):
        return None
    digits = source.data[start:end].translate(_LOOKS_LIKE, SEPARATORS).decode("latin-1")
    if len(digits) < _MIN_DIGITS or not source.bounded(start, end):
        return _glued_ssn(source, start, end, text) if end - start == _SSN_CHARS else None
    if _is_quantity(source.plain, start, end, text):
        return None
    context = source.context(start, end)
    if source.is_alone(start, end) and _SSN_SPACED.fullmatch(text) and us_ssn(digits):
        return Finding(start, end, "US_SSN", "numbers.ssn", VERSION, False, SHAPE)
    return (
        _social_security(text, digits, context, start, end)
        or _with_check(source, text, digits, context, start, end)
        or _by_word(text, digits, context, start, end)
    )


def _glued_ssn(source: Source, start: int, end: int, text: str) -> Finding | None:
    """Accept a dashed number that hangs on the word before it, as in copied tables."""
    left, right = source.plain[max(0, start - 1) : start], source.plain[end : end + 1]
    if left.isalpha() and not right.isalnum() and _SSN_DASHED.fullmatch(text) and us_ssn(bare(text)):
        return Finding(start, end, "US_SSN", "numbers.ssn", VERSION, False, SHAPE)
    return None


def _is_quantity(plain: str, start: int, end: int, text: str) -> bool:
    """Say whether this is a fraction, an amount or a date rather than an identifier."""
    left = plain[start - 1 : start] if start else ""
    if left and left in "$€£¥":
        return True
    grouped = "-" in text or " " in text  # between commas it is the column of a table then
    if (left == "." or (left == "," and not grouped)) and start > 1 and plain[start - 2].isdigit():
        return True
    if plain[end : end + 1] == "," and plain[end + 1 : end + 2].isdigit() and not grouped:
        return True
    if text.count(".") == 1 and not (set(text) & set(" -/\n")):
        return True
    return _DATE.match(text) is not None


def _social_security(text: str, digits: str, context: Context, start: int, end: int) -> Finding | None:
    if len(digits) != 9:
        return None
    if us_itin(digits) and context.says("itin", "tax", "ssn") and context.nearest != "ssn":
        return Finding(start, end, "TAX_ID", "numbers.itin", VERSION, False, CONTEXT, True)
    named = context.says("ssn")
    if named and digits[:3] not in ("000", "666") and digits[3:5] != "00" and digits[5:] != "0000":
        return Finding(start, end, "US_SSN", "numbers.ssn", VERSION, False, CONTEXT, True)
    # 9xx-xx-xxxx is given to nobody; people write it where a real one would stand, in tests and in forms.
    like = us_ssn(digits) or (digits[0] == "9" and digits[3:5] != "00" and digits[5:] != "0000")
    if (
        _SSN_DASHED.fullmatch(text)
        and like
        and not (context.says("version", "phone") and context.gap <= _CLOSE)
    ):
        return Finding(start, end, "US_SSN", "numbers.ssn", VERSION, False, SHAPE)
    return None


def _with_check(
    source: Source, text: str, digits: str, context: Context, start: int, end: int
) -> Finding | None:
    kinds = BY_LENGTH.get(len(digits))
    if kinds is None or one_digit_repeated(digits):
        return None
    word = context.nearest
    if word in ("order", "version", "phone", "card", "passport", "licence", "account"):
        return None
    alone = source.is_alone(start, end)
    named = word in ("natid", "tax", "pesel", "someid", "itin", "org")
    written = None if named or alone else WRITTEN.get(len(digits))
    if written is not None and any(form.fullmatch(text) for form, _ in written):
        kinds = [kind for form, kind in written if form.fullmatch(text)]
    elif not named and not alone:
        return None
    wanted = "TAX_ID" if word in ("tax", "itin") else "NATIONAL_ID"
    if word == "org":
        return None
    passing = [kind for kind in kinds if kind.check(digits)]
    for kind in sorted(passing, key=lambda kind: kind.type != wanted):
        if word in ("tax", "itin") and kind.type != "TAX_ID":
            continue
        type = "NATIONAL_ID" if word == "pesel" else kind.type
        return Finding(start, end, type, kind.id, VERSION, True, CHECKED, named)
    return None


def _by_word(text: str, digits: str, context: Context, start: int, end: int) -> Finding | None:
    word = context.nearest
    entry = _BY_WORD.get(word)
    if (
        entry is None
        or (context.ahead and context.gap > _CLOSE)
        or (not context.ahead and word != "passport")
    ):
        return None
    type, rule, lengths = entry
    if len(digits) not in lengths or one_digit_repeated(digits) or ("/" in text and word != "licence"):
        return None
    checked = type == "BANK_ROUTING" and len(digits) == 9 and us_aba(digits)
    return Finding(start, end, type, rule, VERSION, checked, CONTEXT, True)


PROBES = [
    Probe(
        "numbers",
        frozenset(
            "US_SSN NATIONAL_ID TAX_ID ORG_ID PASSPORT DRIVER_LICENSE BANK_ACCOUNT BANK_ROUTING".split(),
        ),
        (r"[0-9OIl](?:[ .\-/\n]?[0-9OIl]){6}",),
        _groups,
    )
]
