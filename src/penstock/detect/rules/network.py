"""IP and MAC addresses."""

import re
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv6Address

from penstock.detect.finding import Finding
from penstock.detect.probe import CHECKED, VERSION, Probe, Shape, compiled
from penstock.detect.source import Source

_V4 = re.compile(rb"[0-9]{1,3}+(?:\.[0-9]{1,3}+){3,}+")
"""On `re`, faster than RE2 here. Possessive throughout: it never goes back, so it stays linear."""
_V6 = compiled(r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,}(?:(?:\.[0-9]{1,3}){3})?")


_V4_BEFORE = re.compile(r"(?<![\w.\-])[0-9]{1,3}(?:\.[0-9]{1,3}){3}-\Z")
_PAIR = re.compile(r"[:\-][0-9A-Fa-f]{2}(?![0-9A-Za-z])")
_V4_PARTS = 4
_BYTES = frozenset(map(str, range(256)))
_SHORTEST_V4 = 7
_CLEAR = frozenset(("", " ", "\n", ",", ";", '"', "'", "(", ")"))
"""Neighbours that an address surely ends at."""
_V6_LONGEST = 45
_MAC_LONGEST = 17


def _v4(source: Source) -> Iterator[Finding]:
    plain = source.plain
    for match in _V4.finditer(source.data):
        start, end = match.span()
        clear = plain[end : end + 1] in _CLEAR and plain[start - 1 : start] in _CLEAR
        if not clear and not _is_whole(source, start, end):
            continue
        parts = plain[start:end].split(".", 4)
        if len(parts) != _V4_PARTS or not _BYTES.issuperset(parts):
            continue
        if end - start == _SHORTEST_V4 and source.context(start, end).says("order", "version"):
            continue
        yield Finding(start, end, "IP", "network.ipv4", VERSION, False, CHECKED)


def _is_whole(source: Source, start: int, end: int) -> bool:
    """Say whether no word or number goes on beyond an address."""
    plain = source.plain
    if not source.bounded(start, end) or _dotted(plain, start, end):
        return False
    if (
        start > 1 and plain[start - 1] == "-" and plain[start - 2].isalnum()
    ):  # name-1.2.3.4, but a range of two
        return _V4_BEFORE.search(plain, max(0, start - 16), start) is not None
    return True


def _dotted(plain: str, start: int, end: int) -> bool:
    """Say whether more numbers hang on either side by a dot: a version or an OID."""
    if plain[start - 1 : start] == "." and start > 1 and plain[start - 2].isalnum():
        return True
    return plain[end : end + 1] == "." and plain[end + 1 : end + 2].isdigit()


def _v6(source: Source) -> Iterator[Finding]:
    plain = source.plain
    for match in _V6.finditer(source.data):
        start, end = match.span()
        if plain[end - 1] == ":" and plain[end - 2] != ":":
            end -= 1  # what follows is told of it
        value = plain[start:end]
        if not _could_be_v6(plain, start, end):
            continue
        if not source.bounded(start, end) or plain[start - 1 : start] == ":" or plain[end : end + 2] == "::":
            continue
        try:
            IPv6Address(value)
        except AddressValueError:
            continue
        if plain[end : end + 1] == "%":
            end += 1
            while end < len(plain) and plain[end].isalnum():
                end += 1
        yield Finding(start, end, "IP", "network.ipv6", VERSION, False, CHECKED)


def _could_be_v6(plain: str, start: int, end: int) -> bool:
    """Refuse clock times and slices of code such as [::2] and a[1::2]."""
    value = plain[start:end]
    if end - start > _V6_LONGEST or not any(char.isdigit() for char in value):
        return False
    if "::" not in value:
        return value.count(":") >= 6
    if value == "::1":
        return plain[start - 1 : start] != "[" or plain[end : end + 2] == "]:"
    return sum(char.isalnum() for char in value) >= 4


_MAC = Shape(
    "network.mac",
    "MAC",
    r"(?:[0-9A-Fa-f]{2}:){5,}[0-9A-Fa-f]{2}|(?:[0-9A-Fa-f]{2}-){5,}[0-9A-Fa-f]{2}|[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}",
    vetoes=(),
)


def _macs(source: Source) -> Iterator[Finding]:
    for finding in _MAC_PROBE.search(source):
        # A longer run of pairs is a fingerprint or a dump.
        left = source.plain[max(0, finding.start - 1) : finding.start]
        goes_on = _PAIR.match(source.plain, finding.end)
        if finding.end - finding.start <= _MAC_LONGEST and left not in (":", "-") and not goes_on:
            yield finding


_MAC_PROBE = _MAC.probe()

PROBES = [
    Probe("network.ipv4", frozenset({"IP"}), (r"[0-9]\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]",), _v4),
    Probe(
        "network.ipv6",
        frozenset({"IP"}),
        (r"::[0-9a-f]", r"[0-9a-f]::", r"[0-9a-f]:[0-9a-f]{1,4}:[0-9a-f]{1,4}:[0-9a-f]{1,4}:"),
        _v6,
    ),
    Probe("network.mac", _MAC_PROBE.types, _MAC_PROBE.gates, _macs),
]
