from collections.abc import Mapping
from typing import Annotated, Literal

import pytest
from pydantic import Field

from penstock.policy.base import Policy, SecretReference
from penstock.policy.node import Loc
from penstock.policy.shape import Shape


class Leaf(Policy):
    match: Literal["leaf"]
    ttl_s: float = Field(default=1, gt=0)


class Twig(Policy):
    match: Literal["twig"]
    ttl_s: int = Field(default=1, ge=1, le=9)


class Tree(Policy):
    count: int
    even: int = Field(default=2, multiple_of=2, lt=10)
    ratio: float = Field(default=0.5, ge=0, le=1)
    max_tokens: int | None = Field(default=None, ge=1)
    cost_usd_micros: int = Field(default=0, le=5)
    wait_ms: float = 1
    limit_bytes: int = 1
    on: bool = True
    word: Literal["a", "b"] = "a"
    only: Literal["x"] = "x"
    name: str = Field(default="x", min_length=1, max_length=9, pattern="^x")
    secret: SecretReference | None = None
    names: tuple[str, ...] = Field(default=(), max_length=3)
    pair: tuple[int, str] = (1, "a")
    by_name: Mapping[str, Leaf] = {}
    by_code: Mapping[Annotated[str, Field(pattern="^[0-9]$")], int] = {}
    either: Leaf | Twig | str = "x"
    self: "Tree | None" = None


SHAPE = Shape.of(Tree)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("count", "a whole number"),
        ("even", "a whole number below 10 and divisible by 2"),
        ("ratio", "a number from 0 to 1"),
        ("max_tokens", "a whole number of tokens of at least 1"),
        ("cost_usd_micros", "a whole number of millionths of a dollar of at most 5"),
        ("wait_ms", "a number of milliseconds"),
        ("limit_bytes", "a whole number of bytes"),
        ("on", "true or false"),
        ("word", "'a' or 'b'"),
        ("only", "'x'"),
        ("name", "text of 1 to 9 characters that matches ^x"),
        ("secret", "env:NAME or file:PATH"),
        ("names", "a list of at most 3 items"),
        ("pair", "a list of 2 items"),
        ("by_name", "a mapping"),
        ("either", "a mapping or text"),
        ("self", "a mapping"),
    ],
)
def test_what_a_key_holds_is_said_in_words(key: str, words: str) -> None:
    inner = SHAPE.child(key)

    assert inner is not None
    assert inner.words(key) == words


@pytest.mark.parametrize(
    ("loc", "words"),
    [
        (("by_name", "any", "ttl_s"), "a number of seconds above 0"),
        (("by_code", "4"), "a whole number"),
        (("names", 7), "text"),
        (("pair", 1), "text"),
        (("either", "ttl_s"), "a number of seconds above 0 or a whole number of seconds from 1 to 9"),
        (("self", "self", "self", "count"), "a whole number"),
        ((), "a mapping"),
    ],
)
def test_shapes_are_found_along_a_path(loc: Loc, words: str) -> None:
    shape = SHAPE.at(loc)

    assert shape is not None
    assert shape.words(str(loc[-1]) if loc else "") == words


@pytest.mark.parametrize(
    "loc", [("none",), ("count", "x"), ("names", "x"), ("pair", 2), ("by_name", "a", "b")]
)
def test_where_the_schema_says_nothing_there_is_no_shape(loc: Loc) -> None:
    assert SHAPE.at(loc) is None


def test_names_choices_and_secrets_are_known() -> None:
    either, word, secret = SHAPE.child("either"), SHAPE.child("word"), SHAPE.child("secret")
    assert either
    assert word
    assert secret

    assert either.names() == ["match", "ttl_s"]
    assert word.choices() == ["a", "b"]
    assert secret.secret
    assert not word.secret
    assert either.takes("string")
    assert not either.takes("integer")


def test_the_schema_has_no_titles_that_only_repeat_the_name() -> None:
    assert all("title" not in inner.schema for name in SHAPE.names() if (inner := SHAPE.child(name)))
