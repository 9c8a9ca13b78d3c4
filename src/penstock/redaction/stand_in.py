"""Stand-ins: values of the same form that can't be anybody's, made from the value's MAC.

Only types that have such a range have stand-ins; the others get placeholders. Sources: cards: issuer
999999 is not assigned (ISO/IEC 7812); IBAN: ZZ is no country (ISO 3166, user-assigned); US SSN: area
666 is never issued (SSA); IPv4: 198.18.0.0/15 (RFC 2544), IPv6: 2001:db8::/32 (RFC 3849); MAC addresses:
00-00-5E-00-53 (RFC 7042); phones: 555-01xx of North America; names: example.com (RFC 2606).
"""

import re
from collections.abc import Callable
from typing import Final

_DIGIT: Final = re.compile(r"[0-9]")
_SPACES: Final = re.compile(r"[\s.-]")
# Area codes in use, so that parsers accept the number; the exchange 555-01xx makes it fictional.
_AREAS: Final = "201 202 212 213 301 303 305 312 313 404 407 415 503 512 602 617 702 713 801 808".split()


def stand_in(type: str, value: str, number: int) -> str | None:
    """Give a stand-in for a value; `number` is from its MAC, below 2**128. None where the type has none."""
    make = _MAKERS.get(type)
    return make(value, number) if make else None


def _email(_: str, number: int) -> str:
    return f"user{number % 10**12:012d}@example.com"


def _phone(value: str, number: int) -> str:
    area, line = _AREAS[number % len(_AREAS)], f"01{number // len(_AREAS) % 100:02d}"
    return f"+1 {area} 555 {line}" if value.strip().startswith("+") else f"{area}-555-{line}"


def _card(value: str, number: int) -> str | None:
    length = len(_DIGIT.findall(value))
    if not 12 <= length <= 19:
        return None
    body = "999999" + f"{number % 10 ** (length - 7):0{length - 7}d}"
    return _laid_out(value, body + _luhn(body))


def _luhn(body: str) -> str:
    total = 0
    for place, digit in enumerate(reversed(body)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled
    return str(-total % 10)


def _iban(value: str, number: int) -> str | None:
    length = len(_SPACES.sub("", value))
    if not 15 <= length <= 34:
        return None
    account = f"{number % 10 ** (length - 4):0{length - 4}d}"
    check = 98 - int(account + "353500") % 97  # ZZ00 moved to the end, Z is 35
    plain = f"ZZ{check:02d}{account}"
    return " ".join(plain[at : at + 4] for at in range(0, length, 4)) if " " in value.strip() else plain


def _ssn(value: str, number: int) -> str | None:
    digits = f"666{1 + number % 99:02d}{1 + number // 99 % 9999:04d}"
    return _laid_out(value, digits) if len(_DIGIT.findall(value)) == len(digits) else None


def _ip(value: str, number: int) -> str:
    if ":" in value:
        return "2001:db8::" + ":".join(f"{1 + number // 2**shift % 0xFFFE:x}" for shift in (0, 16, 32))
    return f"198.{18 + number % 2}.{number // 2 % 256}.{number // 512 % 256}"


def _mac(value: str, number: int) -> str:
    return f"00:00:5E:00:53:{number % 256:02X}".replace(":", "-" if "-" in value else ":")


def _url(_: str, number: int) -> str:
    return f"https://host{number % 10**12:012d}.example.com/"


def _laid_out(like: str, digits: str) -> str:
    """Put the digits where the other value has its own; whatever is no digit there stays."""
    given = iter(digits)
    return _DIGIT.sub(lambda _: next(given), like)


_MAKERS: Final[dict[str, Callable[[str, int], str | None]]] = {
    "CREDIT_CARD": _card,
    "EMAIL": _email,
    "IBAN": _iban,
    "IP": _ip,
    "IP_ADDRESS": _ip,
    "MAC": _mac,
    "PHONE": _phone,
    "URL": _url,
    "URL_CREDENTIALS": _url,
    "US_SSN": _ssn,
}
