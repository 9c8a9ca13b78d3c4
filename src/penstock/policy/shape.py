"""What a key may hold, read from its model's JSON Schema and said in words.

One source for error messages, editors' schemas and the reference tables of the docs.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import DEFAULT_REF_TEMPLATE, GenerateJsonSchema

from penstock.policy.node import Loc

Schema = Mapping[str, Any]

# Units stand in the names of keys (DESIGN.md, "Names").
_UNITS: Final = {
    "_tokens": "tokens",
    "_usd_micros": "millionths of a dollar",
    "_ms": "milliseconds",
    "_s": "seconds",
    "_bytes": "bytes",
}
_NUMBERS: Final = {"integer": "a whole number", "number": "a number"}


class _PlainSchema(GenerateJsonSchema):
    """Without the titles that only repeat each field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401 - pydantic's own inner types
        """Leave titles out."""
        return False


@lru_cache(maxsize=256)
def schema_of(kind: type[BaseModel]) -> Schema:
    """Give the JSON Schema of a model; shared, so not to be changed."""
    return kind.model_json_schema(ref_template=DEFAULT_REF_TEMPLATE, schema_generator=_PlainSchema)


@dataclass(frozen=True, slots=True)
class Shape:
    """A part of a schema, and the definitions it may refer to."""

    schema: Schema
    definitions: Schema

    @classmethod
    def of(cls, kind: type[BaseModel]) -> "Shape":
        """Give the shape of a whole policy."""
        schema = schema_of(kind)
        return cls(schema, schema.get("$defs", {}))

    def variants(self) -> "Iterator[Shape]":
        """Give each thing the value may be, references followed."""
        if name := self.schema.get("$ref"):
            target = self.definitions[str(name).rpartition("/")[2]]
            yield from Shape(target, self.definitions).variants()
            return
        choices = self.schema.get("anyOf") or self.schema.get("oneOf")
        if not choices:
            yield self
        for choice in choices or ():
            yield from Shape(choice, self.definitions).variants()

    def names(self) -> list[str]:
        """Give the names of the keys that a mapping may have."""
        return list(
            dict.fromkeys(key for each in self.variants() for key in each.schema.get("properties", {}))
        )

    def child(self, part: str | int) -> "Shape | None":
        """Give the shape of an entry or an item; None where the schema does not say."""
        found = [inner for each in self.variants() if (inner := each._inner(part)) is not None]
        if len(found) > 1:
            return Shape({"anyOf": found}, self.definitions)
        return Shape(found[0], self.definitions) if found else None

    def at(self, loc: Loc) -> "Shape | None":
        """Give the shape of the value at a path."""
        shape: Shape | None = self
        for part in loc:
            shape = shape.child(part) if shape else None
        return shape

    @property
    def secret(self) -> bool:
        """Whether the value says where a secret stands, so that a wrong one may be the secret itself."""
        return any(each.schema.get("format") == "secret-reference" for each in self.variants())

    def choices(self) -> list[str]:
        """Give the words that the value may be, where it is one of a few words."""
        listed = [each.schema.get("enum", [each.schema.get("const")]) for each in self.variants()]
        return [word for words in listed for word in words if isinstance(word, str)]

    def takes(self, kind: str) -> bool:
        """Say whether a value of this JSON type fits."""
        return any(each.schema.get("type") == kind for each in self.variants())

    def words(self, key: str = "") -> str:
        """Say what the value may be; `key` is its name, whose end tells the unit."""
        said = [_words(each.schema, key) for each in self.variants() if each.schema.get("type") != "null"]
        return " or ".join(dict.fromkeys(said)) or "nothing"

    def _inner(self, part: str | int) -> Schema | None:
        schema = self.schema
        if isinstance(part, int):
            first = schema.get("prefixItems", ())
            inner = first[part] if 0 <= part < len(first) else schema.get("items")
        else:
            by_pattern = schema.get("patternProperties", {}).values()
            inner = schema.get("properties", {}).get(part) or next(iter(by_pattern), None)
            inner = inner or schema.get("additionalProperties")
        return inner if isinstance(inner, dict) else None


def _words(schema: Schema, key: str) -> str:
    if "enum" in schema or "const" in schema:
        return " or ".join(_choice(each) for each in schema.get("enum", [schema.get("const")]))
    match schema.get("type"):
        case "string":
            return _text(schema)
        case "integer" | "number" as kind:
            units = {} if "_per_" in key else _UNITS  # a rate has no unit of its own
            unit = next((f" of {name}" for end, name in units.items() if key.endswith(end)), "")
            return f"{_NUMBERS[kind]}{unit}{_bounds(schema)}"
        case "boolean":
            return "true or false"
        case "array":
            return f"a list{_length(schema, 'Items', 'item')}"
        case "object":
            return f"a mapping{_length(schema, 'Properties', 'key')}"
        case _:
            return "a value"


def _choice(value: object) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value).lower()


def _text(schema: Schema) -> str:
    if schema.get("format") == "secret-reference":
        return "env:NAME or file:PATH"
    form = {"path": "a path", "uri": "a URL"}.get(schema.get("format", ""), "text")
    pattern = f" that matches {schema['pattern']}" if "pattern" in schema else ""
    return f"{form}{_length(schema, 'Length', 'character')}{pattern}"


def _bounds(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" from {low} to {high}"
    said = {
        "above": schema.get("exclusiveMinimum"),
        "of at least": low,
        "below": schema.get("exclusiveMaximum"),
        "of at most": high,
        "divisible by": schema.get("multipleOf"),
    }
    parts = [f"{word} {bound}" for word, bound in said.items() if bound is not None]
    return f" {' and '.join(parts)}" if parts else ""


def _length(schema: Schema, what: str, noun: str) -> str:
    low, high = schema.get(f"min{what}"), schema.get(f"max{what}")
    if low is None and high is None:
        return ""
    if low == high:
        return f" of {low} {_plural(noun, low)}"
    if low is not None and high is not None:
        return f" of {low} to {high} {noun}s"
    word, bound = ("at least", low) if high is None else ("at most", high)
    return f" of {word} {bound} {_plural(noun, bound)}"


def _plural(noun: str, count: int | None) -> str:
    return noun if count == 1 else f"{noun}s"
