"""IBANs, accounts and crypto wallets; most prove themselves by arithmetic."""

# ruff: noqa: E501 (a pattern or a list of words reads best in one line)

import hashlib
import re
from collections.abc import Iterator

from penstock.detect.checks import mod97
from penstock.detect.finding import Finding
from penstock.detect.probe import CHECKED, CONTEXT, SHAPE, VERSION, Probe, Shape, compiled
from penstock.detect.source import Source

# Lengths from the IBAN registry (SWIFT, ISO 13616).
IBAN_LENGTHS = {
    code: int(length)
    for length, codes in {
        "15": "NO", "16": "BE", "18": "DK FO GL FI NL FK SD", "19": "MK SI", "20": "AT BA EE KZ LT LU XK MN", "21": "CH HR LI LV",
        "22": "BG BH CR DE GB GE IE ME RS VA", "23": "AE GI IL IQ OM TL SO", "24": "AD CZ ES MD PK RO SA SE SK TN VG DZ",
        "25": "AO CV LY PT ST MZ", "26": "IS TR", "27": "BF BI CF CG CM DJ EG FR GA GR IT KM MC MG MR SM TD GQ", "28":
        "AL AZ BJ BY CI CY DO GT HN HU LB ML PL SN SV TG NI", "29": "BR PS QA UA", "30": "JO KW MU YE", "31": "MT SC",
        "32": "LC", "33": "RU",
    }.items()
    for code in codes.split()
}  # fmt: skip
_NAME = "IBAN"
_IBAN_HEAD = compiled(
    rf"(?:\b|_|{_NAME})[A-Z]{{2}}[ .\-]?[0-9][ .\-]?[0-9OIl](?:[ .\-\n\t]{{0,3}}[A-Z0-9]){{4}}", caseless=True
)
_SECOND = re.compile("(?:(?<![A-Za-z0-9])|(?<=IBAN))[A-Za-z]{2}[ .\\-]?[0-9]")


def _heads(source: Source) -> Iterator[int]:
    """Give where a country's letters with two check digits begin; one head may lie within the end of another."""
    matches = _IBAN_HEAD.finditer(source.data)
    while (match := next(matches, None)) is not None:
        start, end = match.span()
        glued = source.plain[start : start + len(_NAME)].upper() == _NAME
        start += len(_NAME) if glued else source.plain[start] == "_"
        yield start
        within = _SECOND.search(source.plain, start + 2, end + 3)
        if within is not None:
            matches = _IBAN_HEAD.finditer(source.data, within.start())


def _ibans(source: Source) -> Iterator[Finding]:
    plain = source.plain
    for start in _heads(source):
        length = IBAN_LENGTHS.get(plain[start : start + 2].upper())
        taken = _take(plain, start, length) if length else None
        if taken is None:
            continue
        end, value = taken
        if not source.bounded(start, end) and plain[max(0, start - 4) : start].upper() != _NAME:
            continue
        if mod97(value.upper()):
            yield Finding(start, end, "IBAN", "money.iban", VERSION, True, CHECKED, True)
        elif source.context(start, end).says("iban", "account", "routing"):
            yield Finding(start, end, "IBAN", "money.iban", VERSION, False, CONTEXT, True)


def _take(plain: str, start: int, length: int) -> tuple[int, str] | None:
    """Read so many letters and digits, over separators; nothing when a word goes on after them."""
    match = _TAKEN[length].match(plain, start)
    if match is None or plain[match.end() : match.end() + 1].isalnum():
        return None
    return match.end(), "".join(filter(str.isalnum, match.group()))


_TAKEN = {
    length: re.compile(rf"[A-Za-z0-9](?:[ .\-\n\t]{{0,3}}[A-Za-z0-9]){{{length - 1}}}")
    for length in set(IBAN_LENGTHS.values())
}


_BASE58 = {char: i for i, char in enumerate("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")}
_BECH32 = {char: i for i, char in enumerate("qpzry9x8gf2tvdw0s3jn54khce6mua7l")}


def base58check(text: str) -> bool:
    """Say whether the last four bytes are the double SHA-256 of the rest (Bitcoin, Litecoin, Dogecoin, Tron)."""
    if not 26 <= len(text) <= 35:
        return False
    number = 0
    for char in text:
        number = number * 58 + _BASE58[char]
    data = number.to_bytes(25, "big") if number < 1 << 200 else b""
    return bool(data) and hashlib.sha256(hashlib.sha256(data[:21]).digest()).digest()[:4] == data[21:]


def bech32(text: str) -> bool:
    """Check a BIP 173 or BIP 350 address."""
    if text.lower() != text and text.upper() != text:
        return False
    head, _, tail = text.lower().rpartition("1")
    if not head or any(char not in _BECH32 for char in tail):
        return False
    values = [ord(c) >> 5 for c in head] + [0] + [ord(c) & 31 for c in head] + [_BECH32[c] for c in tail]
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for i, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> i & 1 else 0
    return check in (1, 0x2BC830A3)


_B58 = "[1-9A-HJ-NP-Za-km-z]"

_SHAPES = (
    Shape("money.base58", "CRYPTO", rf"[13LMDT]{_B58}{{25,}}", check=base58check, gates=(r"[a-z0-9]{26}",)),
    Shape("money.bech32", "CRYPTO", r"(?:bc1|ltc1|tb1)[02-9ac-hj-np-z]{11,87}", check=bech32, caseless=True),
    Shape("money.ethereum", "CRYPTO", r"0x[0-9a-fA-F]{40}", vetoes=("version",), score=SHAPE),
    Shape("money.monero", "CRYPTO", rf"[48][0-9AB]{_B58}{{93}}", vetoes=(), gates=(r"[a-z0-9]{26}",)),
    Shape(
        "money.ripple",
        "CRYPTO",
        rf"r{_B58}{{24,34}}",
        gates=("xrp", "ripple"),
        tags=("account",),
        needs_words=True,
    ),
    Shape(
        "money.account",
        "BANK_ACCOUNT",
        r"[A-Z]{2,9}[0-9]{8,18}|[0-9]{6,14}[A-Z]",
        tags=("account",),
        needs_words=True,
        vetoes=("order", "version", "natid", "someid", "tax", "passport", "licence", ""),
        gates=("acc", "konto", "cuenta", "compte"),
    ),
    Shape(
        "money.sort_code",
        "BANK_ROUTING",
        r"[0-9]{2}-[0-9]{2}-[0-9]{2}",
        tags=("routing",),
        needs_words=True,
        vetoes=("",),
        gates=("sort code",),
    ),
    Shape(
        "money.ifsc",
        "BANK_ROUTING",
        r"[A-Z]{4}0[A-Z0-9]{6}|[A-Z]{6}[A-Z2-9][A-NP-Z0-9](?:[A-Z0-9]{3})?|[A-Z]{8}[0-9]{3}",
        tags=("routing",),
        needs_words=True,
        vetoes=("",),
        gates=("ifsc", r"\bbic\b", "swift", "micr"),
    ),
)

PROBES = [
    Probe(
        "money.iban",
        frozenset({"IBAN"}),
        (
            r"[a-z]{2}[ .\-]?[0-9][ .\-]?[0-9oil](?:[ .\-\n\t]{0,3}[a-z0-9]){0,6}[ .\-\n\t]{0,3}[0-9](?:[ .\-\n\t]{0,3}[0-9oil]){3}",
        ),
        _ibans,
    ),
    *(shape.probe() for shape in _SHAPES),
]
