"""Credentials inside addresses and connection strings."""

# ruff: noqa: E501 (a pattern or a list of words reads best in one line)

from collections.abc import Iterator

from penstock.detect.finding import Finding
from penstock.detect.probe import CONTEXT, VERSION, Probe, compiled
from penstock.detect.rules.secrets.strength import is_filler
from penstock.detect.source import Source

_TYPES = frozenset({"SECRET"})
_URL = compiled(
    r"[A-Za-z][A-Za-z0-9+.\-]{1,20}://([^\s/:@\"'<>\x60]{0,}:([^\s@/\"'<>\x60]{1,}))@[A-Za-z0-9\[\x60.\-_%{$]"
)
_PLAIN_WORDS = frozenset("pass password passwd pwd secret user username token".split())


def _addresses(source: Source) -> Iterator[Finding]:
    """Take user and password together: each alone often is the whole secret (API keys as user names)."""
    for match in _URL.finditer(source.data):
        start, end = match.span(1)
        password = source.plain[slice(*match.span(2))]
        if password.lower() not in _PLAIN_WORDS and not is_filler(password):
            yield Finding(start, end, "SECRET", "secrets.url_credentials", VERSION, False, CONTEXT, True)


_DSN = compiled(
    r"(?:password|pwd|accountkey|sharedaccesskey|sharedsecret)[ ]?=[ ]?(\{[^}]{1,}\}|'[^']{1,}'|[^;\s\"'&]{3,})",
    caseless=True,
)


def _strings(source: Source) -> Iterator[Finding]:
    """Take the password out of ADO, ODBC and JDBC strings: fields parted by semicolons."""
    plain = source.plain
    for match in _DSN.finditer(source.data):
        start, end = match.span(1)
        while start < end and plain[start] in "{'" and plain[end - 1] in "}'":
            start, end = start + 1, end - 1
        if not is_filler(plain[start:end]):
            yield Finding(start, end, "SECRET", "secrets.connection_string", VERSION, False, CONTEXT, True)


PROBES = [
    Probe("secrets.url_credentials", _TYPES, (r"://[^\s/:@]{0,64}:[^\s@/]{1,}@",), _addresses),
    Probe(
        "secrets.connection_string",
        _TYPES,
        (r"(?:server|host|data source|user id|uid|accountname|endpoint|driver)[ ]?=[^;\n]{1,};",),
        _strings,
    ),
]
