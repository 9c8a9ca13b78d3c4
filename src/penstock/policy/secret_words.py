"""Which keys and values look like secrets, so that no error message ever shows one."""

import re
from collections.abc import Iterator
from typing import Final

# `max_tokens` and `tokens_per_minute` count something: the plural of token is no secret.
_WORDS: Final = frozenset(
    {"apikey", "authorization", "bearer", "credential", "credentials", "key", "keys", "passphrase"}
    | {"passwd", "password", "passwords", "pepper", "private", "secret", "secrets", "token"}
)

_PART: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
# What providers' keys begin with, and the scheme of an Authorization header.
_VALUE: Final = re.compile(r"(?:\bsk-|\bBearer\s+)[^\s,\]}\"']+")
_KEY: Final = re.compile(r"([A-Za-z0-9_.-]+)[\"']?\s*:(?=\s|$)")


def secret_key(key: str) -> bool:
    """Say whether a key's name promises a secret: `api_key`, `clientSecret`, `password`."""
    return any(part.lower() in _WORDS for part in _PART.findall(key))


def secret_value(text: str) -> bool:
    """Say whether a value looks like a provider's key wherever it stands."""
    return _VALUE.search(text) is not None


def masked(line: str, start: int, end: int) -> str:
    """Put stars over a part of a line; the length stays, so that carets still point right."""
    return line[:start] + re.sub(r"\S", "*", line[start:end]) + line[end:]


def masked_lines(lines: list[str]) -> Iterator[str]:
    """Put stars over what looks secret in a text that is not YAML; rather too much than too little."""
    under: int | None = None  # the indent of the secret key whose value may go on in the next lines
    for line in lines:
        bare = line.lstrip()
        indent = len(line) - len(bare)
        if under is not None and (not bare or indent > under or (indent == under and bare[0] == "-")):
            yield masked(line, 0, len(line))
            continue
        under = None
        for key in _KEY.finditer(line):
            if secret_key(key[1]):
                line, under = masked(line, key.end(), len(line)), indent
                break
        yield _VALUE.sub(lambda found: "*" * len(found[0]), line)
