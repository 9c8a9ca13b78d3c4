"""Secrets: a token made from every rule is found; what documentation and code hold is not."""

import random
import re

import pytest
from detect_kit import engine, found, types

from penstock.detect.rules.secrets import TABLES, secret_probes
from penstock.detect.rules.secrets.token import Named, Token

ROWS = [row for table in TABLES for row in table]
TOKENS = [row for row in ROWS if isinstance(row, Token)]
NAMED = [row for row in ROWS if isinstance(row, Named)]


def make(pattern: str, seed: str) -> str:
    """Make a text that the pattern matches, from the small grammar the tables use."""
    chance = random.Random(seed)  # noqa: S311
    import re._parser as parser  # type: ignore[import-not-found]

    def build(parts) -> str:
        return "".join(piece(op, value) for op, value in parts)

    def piece(op, value) -> str:
        name = str(op)
        if name == "LITERAL":
            return chr(value)
        if name == "NOT_LITERAL":
            return "k"
        if name == "IN":
            return choose(value)
        if name in ("MAX_REPEAT", "MIN_REPEAT"):
            low, high, inner = value
            return "".join(build(inner) for _ in range(low if low or high == 1 else min(int(high), 2)))
        if name == "SUBPATTERN":
            return build(value[3])
        if name == "BRANCH":
            return build(value[1][0])
        raise AssertionError(name)

    def choose(members) -> str:
        letters = []
        negated = str(members[0][0]) == "NEGATE"
        for op, value in members:
            if str(op) == "RANGE":
                letters += [chr(code) for code in range(value[0], value[1] + 1)]
            elif str(op) == "LITERAL":
                letters.append(chr(value))
        letters = [c for c in letters if c.isalnum()] or letters
        return chance.choice(letters) if not negated else "k"

    return build(parser.parse(pattern))


def test_there_are_as_many_rules_as_the_issue_asks_for():
    assert len(secret_probes()) >= 200
    names = [row.id for row in ROWS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("row", TOKENS, ids=lambda row: row.id)
def test_every_token_is_found(row):
    pattern = row.rest if row.inside else re.escape(row.prefix) + row.rest
    values = [make(pattern, f"{row.id}{i}") for i in range(4)]
    for value in values:
        hits = [item for item in engine().find(f'x = ["{value}"]') if item.type in ("SECRET", "CRYPTO")]
        covered = sum(item.end - item.start for item in hits)
        assert covered >= 0.5 * len(value), value


@pytest.mark.parametrize("row", [row for row in TOKENS if not row.inside], ids=lambda row: row.id)
def test_no_token_begins_inside_a_word(row):
    rule = f"secrets.{row.id}"
    value = make(re.escape(row.prefix) + row.rest, row.id)
    hits = [item for item in engine().find(f"zz{value}") if item.detector == rule]
    assert all(item.start > 0 for item in hits)


@pytest.mark.parametrize("row", NAMED, ids=lambda row: row.id)
def test_every_named_key_is_found(row):
    name = row.name.split("|")[0].replace("[_\\- ]?", "_").replace("[_-]?", "_").replace("(?:logic)?", "")
    value = make(row.value, row.id)
    text = f'{name}_token = "{value}"'
    assert any(item.type == "SECRET" and item.end > text.index(value) for item in engine().find(text)), text


@pytest.mark.parametrize(
    "text",
    [
        'password = "your_password"',
        "password = os.environ['DB_PASSWORD']",
        "password: ${DB_PASSWORD}",
        "token = get_token(user)",
        "secret = config.secret_value",
        "api_key: <your key>",
        "const tokenType = 'bearer_token_v2x'",
        "password_id = 2938479",
        "The password must be at least 8 characters long.",
        "apiVersion: bitnami.com/v1alpha1",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "https://user:password@example.com/",
        "commit 9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c",
        "key = max(values)",
        "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----",
    ],
)
def test_placeholders_and_code_stay(text):
    assert "SECRET" not in types(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('password = "correct-Horse-7"', "correct-Horse-7"),
        ("MYSQL_PASSWORD=2IWJD88FH4Y;", "2IWJD88FH4Y"),
        ("ID:master,PW:dipPr10Gg!", "dipPr10Gg!"),
        ("with user x and password R3boot!Now appeared", "R3boot!Now"),
        ('{"clientSecret": "x9Y8z7W6v5U4t3S2"}', "x9Y8z7W6v5U4t3S2"),
        ("postgres://svc:s3cr3tPw9@db.internal/app", "svc:s3cr3tPw9"),
        ("Server=db;User Id=sa;Password=Pr0d!pass;", "Pr0d!pass"),
        ("mysql -u root --password Sne3sd8AZjq", "Sne3sd8AZjq"),
        ("ALTER USER bob IDENTIFIED BY 'SqLpa5sW0rD';", "SqLpa5sW0rD"),
        ("Authorization: Basic R2hyZG5oYzpycWVpIGVuZ2xiZg==", "R2hyZG5oYzpycWVpIGVuZ2xiZg=="),
    ],
)
def test_assigned_spoken_and_sent(text, value):
    assert ("SECRET", value) in found(text)


PEM = "-----BEGIN PRIVATE KEY-----\nMIIBVAIBADANBgkqhkiG9w0BAQEFAASCAT4wggE6\n-----END PRIVATE KEY-----"


def test_a_private_key_is_one_finding_in_every_dress():
    assert found(PEM) == [("SECRET", PEM)]
    escaped = PEM.replace("\n", "\\n")
    assert found(f'{{"k": "{escaped}"}}') == [("SECRET", escaped)]
    cut = PEM[: PEM.index("\n-----END")]
    assert found(cut) == [("SECRET", cut)]


def test_a_web_token_is_checked_by_its_header():
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlc2lnbmF0dXJl"
    hit = engine().find(f"jwt {token} end")[0]
    assert (hit.type, hit.checked, hit.end - hit.start) == ("SECRET", True, len(token))


@pytest.mark.parametrize(
    "text",
    [
        "  TOKEN: AgA3" + "efuxQHUQ58YFsWHvDhu9H/" * 20 + "==",
        'public_key = "9Cnzj4p4WGeKLs1Pt8QuKUpRKfFLfRYC9AIKjbJTWit"',
        'publicToken = "9Cnzj4p4WGeKLs1Pt8QuKUpRKfFLfRYC9AIKjbJTWit"',
        'token_lib = "io.jsonwebtoken:jjwt-jackson-0.11.2"',
        "message-api: rc0.15.0_20231217_1420-SNAPSHOT",
        "key_st = struct_X509_pubkey_st;",
    ],
)
def test_what_is_sealed_or_public_or_a_release_is_no_secret(text: str) -> None:
    assert "SECRET" not in types(text)


@pytest.mark.parametrize("name", ["api_key", "republic_key", "token"])
def test_the_same_value_under_another_name_is_one(name: str) -> None:
    assert "SECRET" in types(f'{name} = "9Cnzj4p4WGeKLs1Pt8QuKUpRKfFLfRYC9AIKjbJTWit"')
