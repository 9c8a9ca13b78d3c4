"""Machine-readable zones of travel documents (ICAO 9303): the check digits decide."""

# ruff: noqa: E501 (a pattern or a list of words reads best in one line)

from collections.abc import Callable, Iterator

from penstock.detect.checks import mrz_digit
from penstock.detect.finding import Finding
from penstock.detect.probe import CHECKED, VERSION, BytesPattern, Probe, compiled
from penstock.detect.source import Source

_BREAK = r"(?:[\s|]|\\n|\\r){1,6}"
_TD3 = compiled(
    rf"(?:[PVIAC][A-Z<][A-Z<]{{42}}{_BREAK})?([A-Z0-9<]{{9}}[0-9][A-Z<]{{3}}[0-9]{{7}}[MFX<][0-9]{{7}}[A-Z0-9<]{{14}}[0-9<][0-9])"
)
_TD2 = compiled(
    rf"(?:[PVIAC][A-Z<][A-Z<]{{34}}{_BREAK})?([A-Z0-9<]{{9}}[0-9][A-Z<]{{3}}[0-9]{{7}}[MFX<][0-9]{{7}}[A-Z0-9<]{{7}}[0-9])"
)
_TD1 = compiled(
    rf"([ACI][A-Z0-9<][A-Z<]{{3}}[A-Z0-9<]{{9}}[0-9<][A-Z0-9<]{{15}}){_BREAK}"
    rf"([0-9]{{7}}[MFX<][0-9]{{7}}[A-Z<]{{3}}[A-Z0-9<]{{11}}[0-9])(?:{_BREAK}[A-Z<]{{30}})?"
)


def td3(line: str) -> bool:
    """Check the second line of a passport: number, birth, expiry, optional data, all together."""
    optional = line[42] == mrz_digit(line[28:42]) or (line[42] == "<" and set(line[28:42]) == {"<"})
    return _common(line) and optional and line[43] == mrz_digit(line[:10] + line[13:20] + line[21:43])


def td2(line: str) -> bool:
    """Check the second line of 36 characters."""
    return _common(line) and line[35] == mrz_digit(line[:10] + line[13:20] + line[21:35])


def _common(line: str) -> bool:
    return (
        line[9] == mrz_digit(line[:9]) and line[19] == mrz_digit(line[13:19]) and line[27] == mrz_digit(line[21:27])
        and line[0] != "<"
    )  # fmt: skip


def td1(first: str, second: str) -> bool:
    """Check the first two lines of a card; a number longer than nine goes on in the optional data."""
    number = first[14] == mrz_digit(first[5:14])
    if first[14] == "<":
        rest = first[15:].partition("<")[0]
        number = len(rest) > 1 and rest[-1] == mrz_digit(first[5:14] + "<" + rest[:-1])
    dates = second[6] == mrz_digit(second[:6]) and second[14] == mrz_digit(second[8:14])
    return (
        number and dates and second[29] == mrz_digit(first[5:30] + second[:7] + second[8:15] + second[18:29])
    )


def _search(
    regex: BytesPattern, check: Callable[..., bool], groups: int, rule: str
) -> Callable[[Source], Iterator[Finding]]:
    def search(source: Source) -> Iterator[Finding]:
        for match in regex.finditer(source.data):
            lines = [source.plain[slice(*match.span(i))] for i in range(1, groups + 1)]
            start, end = match.span()
            if check(*lines) and _whole(source.plain, start, end):
                yield Finding(start, end, "PASSPORT", rule, VERSION, True, CHECKED, True)

    return search


def _whole(plain: str, start: int, end: int) -> bool:
    left, right = plain[start - 1 : start] if start else "", plain[end : end + 1]
    escaped = plain[max(0, start - 2) : start] in ("\\n", "\\r")
    return (escaped or not (left.isalnum() or left == "<")) and not (right.isalnum() or right == "<")


_KINDS = frozenset({"PASSPORT"})
_DATES = r"[0-9]{7}[mfx<][0-9]{7}"
PROBES = [
    Probe(
        "mrz.td3", _KINDS, (rf"[0-9<][a-z<]{{3}}{_DATES}[a-z0-9<]{{14}}",), _search(_TD3, td3, 1, "mrz.td3")
    ),
    Probe(
        "mrz.td2", _KINDS, (rf"[0-9<][a-z<]{{3}}{_DATES}[a-z0-9<]{{7}}",), _search(_TD2, td2, 1, "mrz.td2")
    ),
    Probe("mrz.td1", _KINDS, (rf"{_DATES}[a-z<]{{3}}[a-z0-9<]{{11}}",), _search(_TD1, td1, 2, "mrz.td1")),
]
