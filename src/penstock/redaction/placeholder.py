"""The grammar of placeholders: `[EMAIL_482913057716]`, a label of letters and the digits of a keyed MAC.

Digits, because three of them are one token for most models (12 digits: 8 tokens with all the rest; 8
characters of base 32 are 9 to 12), because they have no case to change and spell no word. `[` opens and
can't stand inside; the brackets are what models know as "something was taken out here".
"""

import re
import unicodedata
from typing import Final, Protocol

LABEL_MAX: Final = 10
LENGTHS: Final = (12, 15, 18)
"""How many digits a placeholder has; more than the first only where two values would share them."""
LITERAL: Final = "LITERAL"
"""The type of a text of the user's own that looks like a placeholder."""

_LABELS: Final = {
    LITERAL: "TEXT",
    "CREDIT_CARD": "CARD",
    "BANK_ACCOUNT": "ACCOUNT",
    "CRYPTO": "WALLET",
    "DATE_OF_BIRTH": "BIRTHDATE",
    "DRIVER_LICENSE": "LICENSE",
    "IP_ADDRESS": "IP",
    "MAC": "MAC",
    "ORGANIZATION": "ORG",
    "US_SSN": "SSN",
}
_LETTERS: Final = re.compile(r"[^A-Z]+")
_SPACES: Final = re.compile(r"\s+")
_SEPARATORS: Final = re.compile(r"[\W_]+")
_WORDS: Final = frozenset({"PERSON", "ADDRESS", "LOCATION", "ORGANIZATION", "NRP"})
# A secret, a token or a wallet is another one when the case of one letter changes.
_EXACT: Final = frozenset({"SECRET", "CRYPTO", "URL", "URL_CREDENTIALS", LITERAL})


class Mac(Protocol):
    """A keyed MAC, 16 bytes or more, over parts that it keeps apart; its key is the tenant's or thread's."""

    def __call__(self, *parts: bytes) -> bytes: ...  # noqa: D102


def label(type: str) -> str:
    """Give what a type is called in its placeholders: 1 to 10 capitals."""
    known = _LABELS.get(type)
    return known or _LETTERS.sub("", type.upper())[:LABEL_MAX] or "VALUE"


def digits(mac: Mac, type: str, value: str) -> str:
    """Give all 18 digits of a value; the first is never 0, which a model might drop."""
    number = int.from_bytes(mac(b"placeholder", type.encode(), as_bytes(value))[:16])
    lowest = 10 ** (LENGTHS[-1] - 1)
    return str(lowest + number % (9 * lowest))


def as_bytes(text: str) -> bytes:
    """Encode any text, one with half a surrogate pair too."""
    return text.encode("utf-8", "surrogatepass")


def normalised(type: str, value: str) -> str:
    """Give the spelling that all spellings of one value share, for the audit's MAC only.

    A placeholder is made of the value as it was written: two spellings have two placeholders, since
    each of them has to come back as it was.
    """
    if type in _EXACT:
        return value
    plain = unicodedata.normalize("NFKC", value).casefold()
    if type in _WORDS:
        return _SPACES.sub(" ", plain).strip()
    if type in ("EMAIL", "IP", "IP_ADDRESS", "DATE", "DATE_OF_BIRTH"):
        return plain.strip()
    return _SEPARATORS.sub("", plain)
