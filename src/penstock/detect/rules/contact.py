"""E-mail addresses."""

from collections.abc import Iterator

from penstock.detect.finding import Finding
from penstock.detect.probe import CHECKED, VERSION, Probe, compiled
from penstock.detect.source import Source

_LOCAL = r"[A-Za-z0-9\xc0-\xd6\xd8-\xf6\xf8-\xff._%+'\-]"
_LABEL = r"[A-Za-z0-9\xa4\xc0-\xd6\xd8-\xf6\xf8-\xff\-]+"
_ADDRESS = compiled(rf"{_LOCAL}+@(?:{_LABEL}\.)+(?:xn--[A-Za-z0-9\-]+|[A-Za-z\xff]{{2,24}})")


def _emails(source: Source) -> Iterator[Finding]:
    plain = source.plain
    for match in _ADDRESS.finditer(source.data):
        start, end = match.span()
        at = plain.index("@", start)
        while start < at and plain[start] in ".'-%+":
            start += 1
        if start == at or plain[at - 1] == "." or plain[at + 1] in "-.":
            continue
        if end < len(plain) and plain[end].isalpha():
            continue
        yield Finding(start, end, "EMAIL", "contact.email", VERSION, False, CHECKED)


PROBES = [Probe("contact.email", frozenset({"EMAIL"}), (r"[^\s@]@[^\s@.][^\s@]*\.[a-z\xff]",), _emails)]
