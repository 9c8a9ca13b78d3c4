"""Dates of birth: a date that a word such as `born` or `DOB` stands near."""

# ruff: noqa: E501 (a pattern or a list of words reads best in one line)

import re
from collections.abc import Iterator

from penstock.detect.finding import Finding
from penstock.detect.probe import CONTEXT, VERSION, Probe, compiled
from penstock.detect.source import Source

_DATE = compiled(
    r"(?:19|20)[0-9]{2}[./\-][01]?[0-9][./\-][0-3]?[0-9]|[0-3]?[0-9][./\- ][0-3]?[0-9][./\- ](?:19|20)?[0-9]{2}|"
    r"[A-Z\xc0-\xff][a-z\xdf-\xff]{2,10}\.?[ \n][0-3]?[0-9](?:st|nd|rd|th)?,?[ \n](?:19|20)[0-9]{2}|"
    r"[0-3]?[0-9](?:st|nd|rd|th)?\.?[ \n](?:of |de )?[A-Za-z\xc0-\xff]{3,12}\.?,?[ \n](?:de )?(?:19|20)[0-9]{2}"
)
_NUMERIC = re.compile(r"(\d{1,4})[./\- ](\d{1,2})[./\- ](\d{2,4})")
_WORDS = (
    "birth", "born", "dob", "geboren", "geburt", "naissance", r"\bn[e\xe9]e? (?:le|on|el)\b", "nacimiento", "nacid[oa]", "nascit[ao]", r"\bnat[oa] il",
    "urodz", "geboorte", "nascimento", r"d\.o\.b", r"[0-9]\s{0,2}ur\.", "f.delsedatum",
)  # fmt: skip
_MAX_GAP = 6


def is_date(text: str) -> bool:
    """Say whether the numbers can be a day and a month; dates with a month's name pass."""
    match = _NUMERIC.fullmatch(text)
    if match is None:
        return True
    first, second, third = map(int, match.groups())
    if first > 31:
        return 1 <= second <= 12 and 1 <= third <= 31
    return 1 <= first <= 31 and 1 <= second <= 31 and min(first, second) <= 12 and min(first, second) > 0


def _births(source: Source) -> Iterator[Finding]:
    for match in _DATE.finditer(source.data):
        start, end = match.span()
        context = source.context(start, end)
        if context.nearest != "birth" or context.gap > _MAX_GAP:
            continue
        if source.bounded(start, end) and is_date(source.plain[start:end]):
            yield Finding(start, end, "DATE", "birth.date", VERSION, False, CONTEXT, True)


PROBES = [Probe("birth.date", frozenset({"DATE"}), tuple(dict.fromkeys(_WORDS)), _births)]
