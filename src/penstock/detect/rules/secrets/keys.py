"""Private keys, JSON Web Tokens and other things with a grammar of their own."""

# ruff: noqa: E501 (a pattern or a list of words reads best in one line)

import re
from base64 import urlsafe_b64decode
from bisect import bisect_left
from collections.abc import Iterator

from penstock.detect.finding import Finding
from penstock.detect.probe import CHECKED, VERSION, Probe, compiled
from penstock.detect.rules.secrets.token import Token, token_probe
from penstock.detect.source import Source

_TYPES = frozenset({"SECRET"})
_BEGIN = compiled(
    r"-----BEGIN (?:(?:RSA|DSA|EC|ECDSA|ED25519|OPENSSH|SSH2|PGP|ENCRYPTED|ANY|ML-KEM|ML-DSA) ){0,3}PRIVATE KEY(?: BLOCK)?-----"
)
_END = re.compile(r"-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_BODY = re.compile(r"[A-Za-z0-9+/=\s\\\"',+:;#>|.\-]*")
_MAX_BLOCK = 32_768
"""How far the end of a block may be when things stand between that no key has; a longer key is taken as a cut one."""


def _private_keys(source: Source) -> Iterator[Finding]:
    """Take the block as one, with line breaks, quotes or log stamps between its lines; a cut one as far as it goes."""
    plain = source.plain
    ends = [end.span() for end in _END.finditer(plain)]
    at = 0
    for match in _BEGIN.finditer(source.data):
        start, head = match.span()
        if start < at:
            continue
        end = ends[bisect_left(ends, (head, 0))] if ends and ends[-1][0] >= head else None
        if end is not None and end[1] <= head + _MAX_BLOCK:
            at = end[1]
        else:
            body = _BODY.match(plain, head)
            at = body.end() if body is not None else head
        yield Finding(start, at, "SECRET", "secrets.private_key", VERSION, True, CHECKED, True)


_JWT = compiled(r"eyJ[A-Za-z0-9_\-]{10,}\.(?:ey|zi)[A-Za-z0-9_/\-]{8,}(?:\.[A-Za-z0-9_/+=\-]{0,}){0,3}")


def _web_tokens(source: Source) -> Iterator[Finding]:
    for match in _JWT.finditer(source.data):
        start, end = match.span()
        checked = _is_header(source.plain[start:end].partition(".")[0])
        yield Finding(start, end, "SECRET", "secrets.jwt", VERSION, checked, CHECKED, True)


def _is_header(text: str) -> bool:
    try:
        return b'"alg"' in urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        return False


_JWK = compiled(r"\"(?:d|p|q|dp|dq|qi|k)\"[ ]?:[ ]?\"([A-Za-z0-9_\-]{16,})\"")
_JWK_KIND = compiled(r"\"kty\"[ ]?:[ ]?\"[^\"]{2,8}\"")


def _web_keys(source: Source) -> Iterator[Finding]:
    """Take the private members of a JSON Web Key, and the member that names its kind."""
    private = [match.span(1) for match in _JWK.finditer(source.data)]
    if private:
        for match in _JWK_KIND.finditer(source.data):
            start, end = match.span()
            yield Finding(start, end, "SECRET", "secrets.jwk_kind", VERSION, False, CHECKED, True)
    for start, end in private:
        yield Finding(start, end, "SECRET", "secrets.jwk", VERSION, False, CHECKED, True)


_TOKENS = (
    Token("age_secret_key", "AGE-SECRET-KEY-1", r"[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58,59}"),
    Token("age_plugin", "AGE-PLUGIN-", r"[A-Z0-9\-]{1,40}-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{30,}"),
    Token("putty_key", "PuTTY-User-Key-File-", r"[23]: [^\n]{3,40}"),
    Token("ntlm", "TlRMTVNTUAADAAAA", r"[A-Za-z0-9+/]{40,}={0,2}"),
    Token("kubernetes_secret", "ZXlKaGJHY", r"[A-Za-z0-9+/]{100,}={0,2}"),
    Token("base64_private_key", "LS0tLS1CRUdJTiB", r"[A-Za-z0-9+/]{20,}={0,2}"),
    Token("extended_private_key", "xprv", r"[1-9A-HJ-NP-Za-km-z]{100,}"),
    Token("wireguard", "PrivateKey = ", r"[A-Za-z0-9+/]{43}="),
)

PROBES = [
    Probe("secrets.private_key", _TYPES, ("PRIVATE KEY",), _private_keys),
    Probe("secrets.jwt", _TYPES, (r"eyj[a-z0-9_\-]{10}",), _web_tokens),
    Probe("secrets.jwk", _TYPES, ('"kty"',), _web_keys),
    *(token_probe(token) for token in _TOKENS),
]
