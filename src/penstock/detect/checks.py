"""Check-digit arithmetic. Every function takes the value without separators and says whether it holds.

Each rule is written from its public description; the tests compare them with python-stdnum.
"""

from collections.abc import Sequence

_ONCE = bytes.maketrans(b"0123456789", bytes(range(10)))
_BASE36 = {char: str(int(char, 36)) for char in "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_TWICE = bytes.maketrans(b"0123456789", bytes((0, 2, 4, 6, 8, 1, 3, 5, 7, 9)))


def digits_of(text: str) -> list[int]:
    """Give the digits of an ASCII digit string."""
    return [ord(char) - 48 for char in text]


def weighted(text: str, weights: Sequence[int]) -> int:
    """Sum digit times weight, as far as the weights reach."""
    return sum((ord(char) - 48) * weight for char, weight in zip(text, weights, strict=False))


def luhn(text: str) -> bool:
    """Mod 10 with every second digit doubled (ISO/IEC 7812-1)."""
    digits = text.encode("ascii")
    return (sum(digits[-1::-2].translate(_ONCE)) + sum(digits[-2::-2].translate(_TWICE))) % 10 == 0


def mod97(text: str) -> bool:
    """ISO 7064 mod 97-10 over letters and digits, the first four characters moved to the end (IBAN)."""
    return int("".join([_BASE36[char] for char in text[4:] + text[:4]])) % 97 == 1


def mod11_10(text: str) -> bool:
    """ISO 7064 mod 11,10: German IdNr and VAT, Croatian OIB."""
    product = 10
    for char in text[:-1]:
        total = (ord(char) - 48 + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(text[-1])


_D5 = ("0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
       "5987604321", "6598710432", "7659821043", "8765932104", "9876543210")  # fmt: skip
_P8 = (
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
)


def verhoeff(text: str) -> bool:
    """Verhoeff's scheme over the dihedral group D5 (Aadhaar)."""
    state = 0
    for i, char in enumerate(reversed(text)):
        state = int(_D5[state][int(_P8[i % 8][int(char)])])
    return state == 0


def mrz_digit(text: str) -> str:
    """Give ICAO 9303's check digit: weights 7, 3, 1; `<` counts 0 and A to Z 10 to 35."""
    total = 0
    for i, char in enumerate(text):
        value = 0 if char == "<" else int(char, 36)
        total += value * (7, 3, 1)[i % 3]
    return str(total % 10)


def date6(text: str, century_months: bool = False) -> bool:
    """Say whether YYMMDD can be a date; `century_months` lets the month carry +20, +40, +60 or +80."""
    month, day = int(text[2:4]), int(text[4:6])
    if century_months:
        month %= 20
    return 1 <= month <= 12 and 1 <= day <= 31


def day_month(text: str) -> bool:
    """Say whether DDMM can be a day; days may carry +40 (synthetic and organisation numbers)."""
    day, month = int(text[:2]), int(text[2:4])
    return 1 <= (day - 40 if day > 40 else day) <= 31 and 1 <= (month - 40 if month > 40 else month) <= 12


def one_digit_repeated(text: str) -> bool:
    """Say whether the value is one character again and again: a filler, not a number."""
    return text.count(text[0]) == len(text)
