"""Whether a value looks like a secret or like a word, a placeholder, a name in code."""

import math
import re
from collections import Counter

_FILLERS = re.compile(
    r"(?i)(?:your|my|the|some|enter|insert|put|add|change|replace|example|sample|dummy|fake|redacted|placeholder|default|none|null|"
    r"nil|true|false|undefined|empty|test|todo|tbd|n/?a|xxx+|\.\.\.|\*\*\*|<.*>?|\$\{?.*|%.*%|\{\{?.*|@.*@|env[.:(\[].*|os\.environ.*|"
    r"process\.env.*|getenv.*|config[.\[].*|settings[.\[].*|secrets?\.[a-z].*|vault:.*|kms:.*|arn:.*|file:.*|ref:.*)"
    r"(?:[\s_.\-]?(?:password|passwd|pass|pwd|secret|token|key|api|value|here|me|it|this|client|user|id|name|string|\d))*[\s>}\])%$_.\-]*"
)
# What documentation writes inside a token. Real ones hold these by chance once in 10^9.
_SHOWN = re.compile(
    r"(?i)example|xxxxxx|0123456789|123456789a|abcdef[01]|abcdef$|012345$|\*\*\*\*|\.\.\.\.|^ENC\(|^ENC\["
)
_HEAD = 2048
"""As far as those are looked for: in longer values chance brings them, and the search is slow."""
_ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|\d+(?:\.\d+){3}.*")
_IDENTIFIER = re.compile(
    r"[A-Za-z_$][\w$]*(?:(?:\.|->|::)[A-Za-z_$][\w$]*)+(?:\(.*)?|[a-z]+(?:[A-Z][a-z]+)+|[A-Z]+(?:_[A-Z]+)+|[a-z]+(?:[_\-][a-z]+)+"
)
# The one-byte form knows no other letters and digits.
_KIND_OF = [
    re.compile("[a-z\xaa\xb5\xba\xdf-\xf6\xf8-\xff]"),
    re.compile("[A-Z\xc0-\xd6\xd8-\xde]"),
    re.compile("[0-9\xb2\xb3\xb9]"),
    re.compile(r"[!@#$%^&*+=?~]"),
]
_KINDS = bytes(sum(i for i, kind in enumerate(_KIND_OF) if kind.match(chr(code))) for code in range(256))
_NO_KIND = bytes(code for code in range(256) if not any(kind.match(chr(code)) for kind in _KIND_OF))
_LETTER = re.compile("[A-Za-z\xaa\xb5\xba\xc0-\xd6\xd8-\xf6\xf8-\xff]")
_DIGIT = re.compile("[0-9\xb2\xb3\xb9]")
_DIGIT_OR_SYMBOL = re.compile(r"[0-9\xb2\xb3\xb9!@#$%^&*+=?~]")


def entropy(text: str) -> float:
    """Give Shannon's entropy in bits per character."""
    size = len(text)
    return -sum(n / size * math.log2(n / size) for n in Counter(text).values()) if size else 0.0


def is_filler(text: str) -> bool:
    """Say whether this stands in the place of a secret: your-password, ${TOKEN}, xxxxxxxx, <key>."""
    if _SHOWN.search(text, 0, _HEAD) or len(set(text)) <= 2 or _FILLERS.fullmatch(text) is not None:
        return True
    lower = text.lower()
    return (
        ("12345678" in lower and len(text) < 12)
        or ("abcdef" in lower and len(text) < 12)
        or text.startswith(("<", "${", "{{", "$("))
    )


def is_counted_up(text: str) -> bool:
    """Say whether this token was typed along the keyboard; the word EXAMPLE alone does not tell."""
    shown = _SHOWN.search(text, 0, _HEAD)
    return shown is not None and shown[0].lower() != "example"


def is_shown(text: str) -> bool:
    """Say whether documentation made this token up."""
    return _SHOWN.search(text, 0, _HEAD) is not None


def is_name(text: str) -> bool:
    """Say whether this reads like an identifier or a dotted path of code."""
    return _IDENTIFIER.fullmatch(text) is not None


def kinds(text: str) -> int:
    """Count character classes: lower, upper, digit, symbol."""
    return len(set(text.encode("latin-1", "replace").translate(_KINDS, _NO_KIND)))


def varied(text: str) -> bool:
    """Say whether a machine may have made this: letters and digits, many different characters."""
    if _DIGIT.search(text) is None or _LETTER.search(text) is None:
        return False
    return entropy(text) > (2.8 if len(text) < 24 else 3.0)


def random_looking(text: str) -> bool:
    """Say whether this is long and mixed enough for a key whose field says no more than `key`."""
    return len(text) >= 16 and varied(text) and entropy(text) > 3.2 and not is_name(text)


def password_like(text: str, quoted: bool) -> bool:
    """Say whether a field called password may hold this; unquoted ones must not read like code."""
    if len(text) < 4 or (not quoted and (len(text) < 5 or _DIGIT_OR_SYMBOL.search(text) is None)):
        return False
    if is_filler(text) or is_name(text) or text.lower() in _PLAIN or _ADDRESS.fullmatch(text):
        return False
    if quoted:
        return (kinds(text) >= 2 and (not text.isalpha() or len(text) >= 8)) or (
            len(text) >= 8 and text.isdigit()
        )
    return kinds(text) >= 2


_PLAIN = frozenset(
    "string str bytes text password passwd secret token optional required hidden int bool any none".split()
)
