"""Payment card numbers: the issuer's first digits and the Luhn digit prove them, also among other numbers."""

# ruff: noqa: E501 (a pattern reads best in one line)

import re
from collections.abc import Iterator
from functools import cache

from penstock.detect.checks import luhn
from penstock.detect.finding import Finding
from penstock.detect.probe import CHECKED, VERSION, Probe
from penstock.detect.source import Source

_GAP = r"[ .\-\n\t/_]{1,3}"
_GAPS = b" .-\n\t/_"
_ENDS = "(?![0-9])"
# The first digit comes before the look behind it: `re` leaps from digit to digit then. The rest is only looked
# at, so that a number is found whatever groups of digits stand before it.
_CARD = re.compile(
    r"[0-9](?<![A-Za-z0-9][0-9])(?=(?=[0-9]{2})(?:"
    rf"([0-9]{{3}}{_GAP}(?:[0-9]{{4}}{_GAP}[0-9]{{4}}{_GAP}[0-9]{{4}}(?:[ .\-][0-9]{{3}})?|[0-9]{{6}}{_GAP}[0-9]{{4,5}}){_ENDS})|"
    rf"([0-9]{{11,18}}{_ENDS})|"
    rf"([0-9]{{2,7}}\n[0-9]{{4,9}}(?:\n[0-9]{{4,8}})?{_ENDS}))|"
    r"(?<!\b[0-9][ .\-][0-9])((?:[ .\-][0-9]){12,}+(?![0-9])))"
)
_GROUPED, _BARE, _BROKEN, _SINGLE = 1, 2, 3, 4
# Issuer ranges of ISO/IEC 7812: first digits -> lengths.
_ISSUERS = (
    (re.compile(r"4"), (13, 16, 19)),
    (re.compile(r"5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720"), (16,)),
    (re.compile(r"3[47]"), (15,)),
    (re.compile(r"30|3[689]"), (14, 16)),
    (re.compile(r"35|2131|1800"), (15, 16)),
    (re.compile(r"6011|65|64[4-9]|62|81"), (16, 17, 18, 19)),
    (re.compile(r"50|5[6-9]|6"), (12, 13, 14, 15, 16, 17, 18, 19)),
    (re.compile(r"220[0-4]"), (16, 17, 18, 19)),
)
_LENGTHS = range(19, 11, -1)
_PLAIN_LENGTH = 16
_SHORTEST = 12
_SURE_LENGTH = 14
_NEAR = 3
"""Words that may stand between a word against cards and a bare number, so that the word still is about it."""


def is_card(digits: str) -> bool:
    """Say whether an issuer gives out such numbers and the Luhn digit holds."""
    return len(digits) in _lengths(digits[:4]) and luhn(digits) and len(set(digits)) > 1


@cache
def _lengths(head: str) -> frozenset[int]:
    """Give how long a number with these four first digits can be."""
    return frozenset(length for prefix, lengths in _ISSUERS if prefix.match(head) for length in lengths)


def _cards(source: Source) -> Iterator[Finding]:
    """Give each card; where two windows over the same digits hold, one finding covers both."""
    held: Finding | None = None
    for start, end in _windows(source):
        finding = _judged(source, start, end)
        if finding is None:
            continue
        if held is not None and start < held.end:
            held = held._replace(end=max(end, held.end))
            continue
        if held is not None:
            yield held
        held = finding
    if held is not None:
        yield held


def _windows(source: Source) -> Iterator[tuple[int, int]]:
    """Give what the arithmetic accepts."""
    plain, data = source.plain, source.data
    known: dict[bytes, int] = {}  # the same digits again and again, as in floods, are reckoned once
    for match in _found(source):
        form = match.lastindex
        start, end = match.start(), match.end(form or 0)
        if form == _SINGLE:
            end = _single(source, start, end)
        else:
            written = data[start:end]
            length = known.get(written)
            if length is None:
                length = known[written] = _taken(written)
            end = start + length
            if (
                form == _BROKEN
                and length
                and _in_column(plain, start, end)
                and not _named(source, start, end)
            ):
                continue
        if end > start:
            yield start, end


def _found(source: Source) -> Iterator[re.Match[str]]:
    for first, last in source.runs():
        if last - first >= _SHORTEST:
            yield from _CARD.finditer(source.plain, first, last)


def _taken(written: bytes) -> int:
    """Give how many characters are a card: all, all but a last group of three, or none."""
    digits = written.translate(None, _GAPS).decode("ascii")
    if is_card(digits):
        return len(written)
    shorter = len(digits) == _PLAIN_LENGTH + 3 and written[-4] in _GAPS and is_card(digits[:_PLAIN_LENGTH])
    return len(written) - 4 if shorter else 0


def _single(source: Source, start: int, end: int) -> int:
    """Give where a number ends that is written digit by digit; named, it may be followed by other digits."""
    digits = source.plain[start:end:2]
    if is_card(digits):
        return end
    if _named(source, start, end):
        for length in _LENGTHS:
            if length < len(digits) and is_card(digits[:length]):
                return start + 2 * length - 1
    return start


def _in_column(plain: str, start: int, end: int) -> bool:
    """Say whether lines of digits go on before or after a number of several lines."""
    before = plain[start - 1 : start] == "\n" and plain[max(0, start - 2) : start - 1].isdigit()
    return before or (plain[end : end + 1] == "\n" and plain[end + 1 : end + 2].isdigit())


def _named(source: Source, start: int, end: int) -> bool:
    return source.context(start, end).says("card")


def _judged(source: Source, start: int, end: int) -> Finding | None:
    """Decide by what stands around a number that can be a card's."""
    plain = source.plain
    if not source.bounded(start, end) or _decimal(plain, start, end):
        return None
    context = source.context(start, end)
    named = context.nearest == "card"
    if context.says("order", "version") and context.gap <= _NEAR and plain[start:end].isdigit():
        return None  # grouped as on a card it is none: no order number is written so
    if (
        not named
        and len(source.data[start:end].translate(None, _GAPS)) < _SURE_LENGTH
        and not source.is_alone(start, end)
    ):
        return None
    return Finding(start, end, "CREDIT_CARD", "money.card", VERSION, True, CHECKED, named)


def _decimal(plain: str, start: int, end: int) -> bool:
    """Say whether the digits belong to a fraction; behind a comma they are the next column."""
    before = plain[start - 1 : start] == "." and plain[max(0, start - 2) : start - 1].isdigit()
    return before or (plain[end : end + 1] == "." and plain[end + 1 : end + 2].isdigit())


_GATES = (
    r"[0-9]{12}",
    rf"[0-9]{{4}}{_GAP}[0-9]{{4}}{_GAP}[0-9]{{4}}{_GAP}[0-9]{{4}}",
    rf"[0-9]{{4}}{_GAP}[0-9]{{6}}{_GAP}[0-9]{{4}}",
    r"[0-9]{3}\n[0-9]{4}",
    r"[0-9](?:[ .\-][0-9]){11}",
)
PROBES = [Probe("money.card", frozenset({"CREDIT_CARD"}), _GATES, _cards)]
