"""Credentials on command lines, in SQL and in HTTP headers."""

# ruff: noqa: E501 (a pattern or a list of words reads best in one line)

from collections.abc import Callable, Iterator

from penstock.detect.finding import Finding
from penstock.detect.probe import CONTEXT, VERSION, Probe, compiled
from penstock.detect.rules.secrets.strength import is_filler, password_like, varied
from penstock.detect.source import Source

_TYPES = frozenset({"SECRET"})


def _rule(rule: str, gates: tuple[str, ...], pattern: str, accept: Callable[[str], bool]) -> Probe:
    regex = compiled(pattern, caseless=True)

    def search(source: Source) -> Iterator[Finding]:
        for match in regex.finditer(source.data):
            start, end = match.span(1)
            if accept(source.plain[start:end]):
                yield Finding(start, end, "SECRET", f"secrets.{rule}", VERSION, False, CONTEXT, True)

    return Probe(f"secrets.{rule}", _TYPES, gates, search)


def _loose(value: str) -> bool:
    return password_like(value, quoted=False)


def _quoted(value: str) -> bool:
    return password_like(value, quoted=True)


def _mixed(value: str) -> bool:
    return varied(value) and not is_filler(value)


PROBES = [
    _rule("cli_password", (r"-pass", "-pwd", "-pw"),
          r"(?:^|[\s\"'(])--?(?:pass(?:word|phrase|wd)?|pwd|pw)[ =]{1,2}[\"']?([^\s\"'\x60]{4,})", _loose),
    _rule("cli_token", ("token", "bearer", "secret", "api-?key"),
          r"(?:^|[\s\"'(])--?[a-z0-9_\-]{0,24}(?:token|secret|api-?key|bearer)[ =]{1,2}[\"']?([^\s\"'\x60]{8,})", _mixed),
    _rule("curl_user", (r"curl\b",), r"\bcurl\b[^\n]{0,}?[ ](?:-u|--user)[ ]?[\"']?([^\s:\"']{1,64}:[^\s\"'@]{4,})", _mixed),
    _rule("openssl_pass", ("pass:",), r"-pass(?:in|out)?[ ]+[\"']?pass:([^\s\"']{4,})", _quoted),
    _rule("sql_identified", ("identified ",),
          r"identified (?:with [\"'\x60]?[a-z0-9_]{1,40}[\"'\x60]? )?(?:by|as)[ ](?:password[ ])?[\"'\x60]?([^\s\"'\x60;)]{4,})", _loose),
    _rule("sql_password", (r"(?:create|alter) (?:user|role|login)",),
          r"(?:create|alter) (?:user|role|login)\b[^;\n]{0,}?\bpassword[ ]?=?[ ][\"'\x60]?([^\s\"'\x60;]{4,})", _loose),
    _rule("authorization", ("authorization", "proxy-auth"),
          r"authorization[\"']?\s{0,3}[:=,]\s{0,3}[\"'\x60]?(?:bearer|basic|token|digest|ntlm|negotiate|apikey|key|hmac|aws4-hmac-sha256)[ ]+[\"']?([A-Za-z0-9+/=_.~\-]{12,})",
          lambda value: not is_filler(value) and len(set(value)) > 6),
    _rule("authorization_raw", ("authorization",), r"authorization[\"']?\s{0,3}[:=]\s{0,3}[\"'\x60]([A-Za-z0-9+/=_.~\-]{16,})[\"'\x60]", _mixed),
    _rule("bearer", (r"bearer\s",), r"\bbearer[ ]+([A-Za-z0-9+/=_.~\-]{20,})", _mixed),
    _rule("oauth_signature", ("oauth_",), r"oauth_(?:signature|token|token_secret|consumer_key)=[\"']?([A-Za-z0-9%+/=_.\-]{12,})", _mixed),
    _rule("netrc", (r"machine\s",), r"machine\s+\S{1,}\s+login\s+\S{1,}\s+password\s+(\S{4,})", _quoted),
    _rule("htpasswd", (r"\$apr1\$", r"\$2[aby]\$", r"\$6\$", r"\$5\$", r"\$argon2"),
          r"(\$(?:apr1|1|5|6|2[aby]|argon2(?:id?|d))\$[A-Za-z0-9./$=,+\-]{20,})", lambda value: len(set(value)) > 10),
    _rule("session_cookie", ("cookie",), r"(?:session(?:id)?|sid|connect\.sid|jsessionid|phpsessid|sessid|auth)=([A-Za-z0-9%_.\-]{20,})", _mixed),
]  # fmt: skip
