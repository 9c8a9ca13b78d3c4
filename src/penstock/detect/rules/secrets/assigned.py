"""`key = value` in any language: the key says password, token or secret, and the value does not look like code."""

# ruff: noqa: E501 (a pattern or a list of words reads best in one line)

import re
from collections.abc import Iterator

from penstock.detect.finding import Finding
from penstock.detect.probe import CONTEXT, VERSION, BytesPattern, Probe, compiled
from penstock.detect.rules.secrets.strength import is_filler, is_name, password_like, random_looking, varied
from penstock.detect.source import Source

_TYPES = frozenset({"SECRET"})
_PASSWORD_NAMES = r"pass(?:word|worsd|wd|phrase|code)?|pa?ss?w?o?r?d|pswd|pwd|pw|psk"  # noqa: S105
_HIDDEN_NAMES = r"secret|token|credential|api[_\- ]?key|apikey|access[_\- ]?key|client[_\-]?secret|auth[_\-]?key|private[_\-]?key|signing[_\-]?key|encryption[_\-]?key|secret[_\-]?key"
_VAGUE = r"key|auth(?:orization|entication)?|salt|nonce|api|cert|signature|hash[_\-]?key|seed"
_TAIL = r"[\w.\-]*?(?:\\?[\"'\x60]|[)\]]){0,2}(?:[ ]?:[ ]?[A-Za-z]{2,12}\??)?"
_SIGN = r"[ \t]*(?:=>|:=|={1,3}|!==?|:)[>(]?[ \t]*"
_OPEN = r"(?:[bru]?\\?[\"'\x60]{1,3}|)"
_QUOTES = ("'", '"', "\x60")
_VALUE = r"[^ \t\n\f\r\"'\x60\\<>]"
_HEAD = 4
"""The pattern ends with so many characters of the value; without groups RE2 is twice as fast."""
_REST = re.compile(rf"{_VALUE}*+")


def _search(rule: str, keys: str, kind: str) -> Probe:
    regex = compiled(rf"(?:{keys}){_TAIL}{_SIGN}{_OPEN}{_VALUE}{{{_HEAD}}}", caseless=True)

    def search(source: Source) -> Iterator[Finding]:
        plain = source.plain
        for start, end in _assigned(regex, source):
            quoted = plain[start - 1] in _QUOTES
            if not quoted:
                end = _shortened(plain, start, end)
            elif end < len(plain) and plain[end] in " \t":
                continue  # a sentence, not a secret
            if end - start >= 4 and _accepts(kind, plain, start, end, quoted):
                yield Finding(start, end, "SECRET", rule, VERSION, False, CONTEXT, True)

    return Probe(rule, _TYPES, _GATES[kind], search)


def _assigned(regex: BytesPattern, source: Source) -> Iterator[tuple[int, int]]:
    """Give the spans of what may be values."""
    matches, end = regex.finditer(source.data), 0
    while (match := next(matches, None)) is not None:
        first, head = match.span()
        if first < end:  # within the value before: go on after it
            matches = regex.finditer(source.data, end)
            continue
        start = head - _HEAD
        rest = _REST.match(source.plain, head)
        end = rest.end() if rest else head
        yield start, end


def _shortened(plain: str, start: int, end: int) -> int:
    """End an unquoted value where the list, the URL or the sentence goes on."""
    for stop in ("&", ";", ","):
        at = plain.find(stop, start, end)
        if at > start:
            end = at
    while end > start and plain[end - 1] in ").,;:]}":
        end -= 1
    return end


def _accepts(kind: str, plain: str, start: int, end: int, quoted: bool) -> bool:
    value = plain[start:end]
    if kind == "vague" and end - start < _MIN_VAGUE:
        return False
    if plain[end : end + 1] == "(" or value.endswith("(") or ("(" in value and not quoted):
        return False
    if kind == "password":
        return password_like(value, quoted) and not _tells_of_it(plain, start)
    if (
        is_filler(value)
        or _tells_of_it(plain, start)
        or _is_public(plain, start)
        or is_name(value)
        or _RELEASE.search(value)
        or _SEALED.fullmatch(value)
        or (value.startswith(("http://", "https://", "/", "./", "$", "%")) and not random_looking(value))
    ):
        return False
    if kind == "secret":
        return len(value) >= 8 and varied(value)
    return random_looking(value) and not _WORDS.fullmatch(value)


_RELEASE = re.compile(r"[.\-_:]\d{1,4}(?:\.\d{1,4}){1,3}$|SNAPSHOT$")
"""jjwt-jackson-0.11.2"""
_SEALED = re.compile(r"A[gQ][A-D][A-Za-z0-9+/]{300,}={0,3}")
"""A sealed secret of Kubernetes: the length of the sealed key, 256 or 512 bytes, then ciphertext."""
_WORDS = re.compile(
    r"(?:[A-Za-z]{2,}\d{0,5}|\d{1,4}|[A-Z]\d{1,4})(?:[_\-](?:[A-Za-z]{2,}\d{0,5}|\d{1,4}|[A-Z]\d{1,4})){2,}"
)
"""struct_X509_pubkey_st: words and short numbers, which a key is not."""
_PUBLIC = re.compile(
    r"(?:(?<![A-Za-z])public|Public|PUBLIC)(?i:[_\- ]?(?:api[_\- ]?)?(?:key|token))[\"'\x60)\]]{0,2}\s*(?:=>|:=|[=:!]{1,3})[\s\"'\x60(]*$"
)


def _is_public(plain: str, start: int) -> bool:
    """Say whether a value is for everybody by its key's name."""
    before = plain[max(0, start - 40) : start]
    return "public" in before.lower() and _PUBLIC.search(before) is not None


def _tells_of_it(plain: str, start: int) -> bool:
    """Say whether the key before a value only tells of a secret."""
    key = plain[max(0, start - 40) : start].rstrip(_BETWEEN)
    if not key.lower().endswith(_LAST_OF_KEY):  # nearly always, and much cheaper than the search
        return False
    return _NOT_THE_SECRET.search(plain, max(0, start - 40), start) is not None


_BETWEEN = " \t\n\r\f\v\x1c\x1d\x1e\x1f\x85\xa0\"'\x60()]=:!>"
_LAST_OF_KEY = tuple(
    "version _id id ids name names type path url uri file len length size count field column policy regex format prefix label hint".split()
)
_NOT_THE_SECRET = re.compile(
    r"(?i)(?:version|_id|ids?|name|type|path|url|uri|file|len|length|size|count|field|column|policy|regex|format|prefix|label|hint)[\"'\x60)\]]{0,2}\s*(?:=>|:=|[=:!]{1,3})[\s\"'\x60(]*$"
)
"""Key names that end like this tell of a secret and do not hold it: password_id, tokenType, apiVersion."""

_MIN_VAGUE = 16
_GATES = {
    "password": (
        r"(?:pass\w{0,6}|pa?ss?w?o?r?d|pw|psk)[\w.\-]{0,24}[\"'\x60)\] \\]{0,4}(?::[ ]?\w{2,12}\s)?\s{0,4}[:=!]",
    ),
    "secret": (
        r"(?:secret|token|credential|key)[\w.\-]{0,24}[\"'\x60)\] \\]{0,4}(?::[ ]?\w{2,12}\s)?\s{0,4}[:=!]",
    ),
    "vague": (
        r"(?:key|auth\w{0,10}|salt|nonce|api|cert|signature|seed)[\w.\-]{0,24}[\"'\x60)\] \\]{0,4}\s{0,4}[:=!]",
    ),
}

_SPOKEN = compiled(
    r"\b(?:password|passphrase|passcode|passwd|pwd|pw|pin code|kennwort|passwort|mot de passe|contrase\xf1a|has.o)"
    r"(?: (?:is|was|of \S{1,30} is|set to|to))?[ :=]{1,3}(?:[\"'\x60]([^\"'\x60\s]{4,})[\"'\x60]|([^\s\"'\x60]{5,}))",
    caseless=True,
)


_MIXED = re.compile(r"[0-9\xb2\xb3\xb9!@#$%^&*]")


def _spoken(source: Source) -> Iterator[Finding]:
    """Take a password out of a sentence: `and password R3boot!Now`."""
    plain = source.plain
    for match in _SPOKEN.finditer(source.data):
        quoted = match.span(1)[0] >= 0
        start, end = match.span(1) if quoted else match.span(2)
        while end > start and plain[end - 1] in ".,;:)":
            end -= 1
        value = plain[start:end]
        if _MIXED.search(value) and "(" not in value and password_like(value, quoted):
            yield Finding(start, end, "SECRET", "secrets.spoken_password", VERSION, False, CONTEXT, True)


_DEFINED = compiled(r"(?:#|%)[ ]?(?:define|global)(?:[ \t]|\\t)+\w{0,24}(?:pass\w{0,6}|secret|token|key)\w{0,12}(?:[ \t]|\\t)+\\?[\"']([^\"'\s\\]{5,})|"
                    r"\bset[ ]+\w{0,24}(?:pass\w{0,6}|pwd|secret|token)\w{0,12}[ ]+[\"']([^\"'\s]{5,})", caseless=True)  # fmt: skip


def _defined(source: Source) -> Iterator[Finding]:
    """Take what the preprocessor, a spec file or a batch file sets without a sign between."""
    for match in _DEFINED.finditer(source.data):
        start, end = match.span(1) if match.span(1)[0] >= 0 else match.span(2)
        if password_like(source.plain[start:end], quoted=True):
            yield Finding(start, end, "SECRET", "secrets.defined", VERSION, False, CONTEXT, True)


PROBES = [
    _search("secrets.password_assigned", _PASSWORD_NAMES, "password"),
    _search("secrets.secret_assigned", _HIDDEN_NAMES, "secret"),
    _search("secrets.key_assigned", _VAGUE, "vague"),
    Probe(
        "secrets.spoken_password",
        _TYPES,
        (r"\b(?:pass\w{1,6}|pwd|pw|kennwort|mot de passe|contrase.a|pin code)\b",),
        _spoken,
    ),
    Probe(
        "secrets.defined",
        _TYPES,
        (r"[#%] ?(?:define|global)", r"\bset \w{0,24}(?:pass|pwd|secret|token)"),
        _defined,
    ),
]
