import json
from collections.abc import Mapping
from typing import ClassVar

from pydantic import Field

from penstock.policy.base import Policy, SecretReference, StagePolicy
from penstock.policy.schema import json_schemas, reference_block


class Limit(Policy):
    """How much is allowed."""

    tokens: int = Field(ge=1, description="Tokens in a window.")
    inner: "Limit | None" = Field(default=None, description="A narrower limit.")


class Budget(StagePolicy):
    """What tenants may spend."""

    file: ClassVar[str] = "budget"

    limits: Mapping[str, Limit] = Field(default={}, description="By tenant.")
    words: tuple[Limit, ...] = Field(default=(), description="One | or\n  many.")
    pair: tuple[int, str] = Field(default=(1, "a"), description="Two.")
    login: SecretReference | None = Field(default=None, description="Where the key stands.")
    main: Limit


def test_each_kind_gets_a_schema_under_its_files_name() -> None:
    schemas = json_schemas([Budget])

    assert list(schemas) == ["budget.schema.json"]
    schema = schemas["budget.schema.json"]
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == "budget.yaml"
    assert schema["description"] == "What tenants may spend."
    assert schema["additionalProperties"] is False
    assert schema["properties"]["limits"]["description"] == "By tenant."
    assert schema["$defs"]["Limit"]["additionalProperties"] is False
    assert json.loads(json.dumps(schema)) == schema


def test_making_schemas_twice_gives_the_same() -> None:
    assert json_schemas([Budget]) == json_schemas([Budget])


def test_an_editor_learns_how_a_secret_is_written() -> None:
    assert "^(env|file):.+" in json.dumps(json_schemas([Budget]))


def test_the_reference_has_a_row_for_every_key() -> None:
    rows = reference_block(Budget).split("\n")

    assert rows[0] == "| Key | Holds | Default | Meaning |"
    assert rows[1] == "| --- | --- | --- | --- |"
    assert [row.split(" | ")[0].strip("| `") for row in rows[2:]] == [
        "on_failure",
        "limits",
        "limits.<name>.tokens",
        "limits.<name>.inner",
        "words",
        "words[].tokens",
        "words[].inner",
        "pair",
        "login",
        "main",
        "main.tokens",
        "main.inner",
    ]


def test_a_row_says_what_a_key_holds_its_default_and_its_meaning() -> None:
    block = reference_block(Budget)

    assert (
        "| `limits.<name>.tokens` | a whole number of at least 1 | required | Tokens in a window. |" in block
    )
    assert '| `pair` | a list of 2 items | `[1, "a"]` | Two. |' in block
    assert "| `login` | env:NAME or file:PATH | none | Where the key stands. |" in block
    assert "| `main` | a mapping | required | How much is allowed. |" in block


def test_nothing_in_a_cell_breaks_the_table() -> None:
    assert "| One \\| or many. |" in reference_block(Budget)
