"""Payment cards, IBANs and crypto wallets: all three prove themselves by arithmetic."""

# ruff: noqa: E501 (a pattern or a list of words reads best in one line)

import hashlib
import re
from collections.abc import Iterator
from functools import cache

from penstock.detect.checks import luhn, mod97
from penstock.detect.finding import Finding
from penstock.detect.probe import CHECKED, CONTEXT, SHAPE, VERSION, Probe, Shape, bare, compiled
from penstock.detect.source import Source

# Grouped as printed on cards, in one piece, or one by one.
# The first digit comes before the look behind it: `re` leaps from digit to digit then.
_CARD = re.compile(
    r"[0-9](?<![A-Za-z0-9_][0-9])(?:"
    r"[0-9]{3}[ .\-\n][0-9]{4}[ .\-\n][0-9]{4}[ .\-\n][0-9]{4}(?:[ .\-][0-9]{3})?|[0-9]{3}[ .\-\n][0-9]{6}[ .\-\n][0-9]{4,5}|"
    r"[0-9]{11,}|(?:[ .\-][0-9]){12,}|[0-9]{3,8}\n[0-9]{4,9}(?:\n[0-9]{4,8})?)"
)
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


_LONGEST = 40


def is_card(digits: str) -> bool:
    """Say whether an issuer gives out such numbers and the Luhn digit holds."""
    return len(digits) in _lengths(digits[:4]) and luhn(digits) and len(set(digits)) > 1


@cache
def _lengths(head: str) -> frozenset[int]:
    """Give how long a number with these four first digits can be."""
    return frozenset(length for prefix, lengths in _ISSUERS if prefix.match(head) for length in lengths)


def _cards(source: Source) -> Iterator[Finding]:
    plain = source.plain
    for match in _CARD.finditer(plain):
        start, end = match.span()
        if end - start > _LONGEST:
            continue
        digits = bare(plain[start:end])
        if not is_card(digits):
            if len(digits) <= 16 or not is_card(digits[:16]) or plain[end - 4] not in _GAPS:
                continue
            end, digits = end - 4, digits[:16]
        if not source.bounded(start, end) or _decimal(plain, start, end):
            continue
        context = source.context(start, end)
        named = context.says("card")
        if context.says("order", "version") and _GAPS.isdisjoint(plain[start:end]):
            continue  # grouped as on a card it is none: no order number is written so
        if len(digits) < 14 and not named and not source.is_alone(start, end):
            continue
        yield Finding(start, end, "CREDIT_CARD", "money.card", VERSION, True, CHECKED, named)


_GAPS = frozenset(" .-")


def _decimal(plain: str, start: int, end: int) -> bool:
    """Say whether the digits belong to a fraction."""
    before = plain[start - 1 : start] in (".", ",") and plain[max(0, start - 2) : start - 1].isdigit()
    return before or (plain[end : end + 1] == "." and plain[end + 1 : end + 2].isdigit())


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
_IBAN_HEAD = compiled(r"\b[A-Z]{2}[ .\-]?[0-9][ .\-]?[0-9OIl](?:[ .\-\n]?[A-Z0-9]){4}", caseless=True)
_LOOKS_LIKE = str.maketrans("OIl", "011")


def _ibans(source: Source) -> Iterator[Finding]:
    plain = source.plain
    for match in _IBAN_HEAD.finditer(source.data):
        start = match.start()
        if start and (plain[start - 1].isalnum() or plain[start - 1] == "_"):
            continue
        length = IBAN_LENGTHS.get(plain[start : start + 2].upper())
        taken = _take(plain, start, length) if length else None
        if taken is None:
            continue
        end, value = taken
        if mod97(value.upper()):
            yield Finding(start, end, "IBAN", "money.iban", VERSION, True, CHECKED, True)
        elif source.context(start, end).says("iban", "account", "routing"):
            yield Finding(start, end, "IBAN", "money.iban", VERSION, False, CONTEXT, True)


def _take(plain: str, start: int, length: int) -> tuple[int, str] | None:
    """Read so many letters and digits, over single separators; nothing when a word goes on after them."""
    match = _TAKEN[length].match(plain, start)
    if match is None:
        return None
    end = match.end()
    if end < len(plain) and (plain[end].isalnum() or plain[end] == "_"):
        return None
    return end, bare(match.group())


_TAKEN = {
    length: re.compile(rf"[A-Za-z0-9](?:[ .\-\n\xa0]?[A-Za-z0-9]){{{length - 1}}}")
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
    Probe("money.card", frozenset({"CREDIT_CARD"}), (r"[0-9](?:[ .\-\n]?[0-9]){11}",), _cards),
    Probe(
        "money.iban",
        frozenset({"IBAN"}),
        (
            r"[a-z]{2}[ .\-]?[0-9][ .\-]?[0-9oil](?:[ .\-\n]?[a-z0-9]){0,6}[ .\-\n]?[0-9](?:[ .\-\n]?[0-9oil]){3}",
        ),
        _ibans,
    ),
    *(shape.probe() for shape in _SHAPES),
]
