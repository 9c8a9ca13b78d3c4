"""What a policy may hold, for people and their editors: JSON Schemas and reference tables."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from penstock.policy.base import Policy
from penstock.policy.shape import Schema, Shape, schema_of

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_HEAD: Final = "| Key | Holds | Default | Meaning |\n| --- | --- | --- | --- |"


def json_schemas(kinds: Sequence[type[Policy]]) -> dict[str, dict[str, Any]]:
    """Give a JSON Schema (2020-12) for each kind, by the name of the file to write it to."""
    return {
        f"{kind.file}.schema.json": {"$schema": _DIALECT, **schema_of(kind), "title": f"{kind.file}.yaml"}
        for kind in kinds
    }


def reference_block(kind: type[Policy]) -> str:
    """Give a Markdown table of every key, for the policy's page in the docs."""
    return "\n".join([_HEAD, *_rows(Shape.of(kind), "", ())])


def _rows(shape: Shape, path: str, above: tuple[int, ...]) -> Iterator[str]:
    """Give the rows of all keys below a value; `above` are what is around it, so that recursion ends."""
    for variant in shape.variants():
        schema = variant.schema
        if id(schema) in above:
            continue
        inside = (*above, id(schema))
        for key, value in schema.get("properties", {}).items():
            inner = Shape(value, shape.definitions)
            at = f"{path}.{key}" if path else key
            yield _row(at, key, inner, required=key in schema.get("required", ()))
            yield from _rows(inner, at, inside)
        for end, value in _unnamed(schema):
            yield from _rows(Shape(value, shape.definitions), f"{path}{end}", inside)


def _unnamed(schema: Schema) -> Iterator[tuple[str, Schema]]:
    """Give what a mapping with free keys and a list hold, and how their paths go on."""
    if isinstance(entries := schema.get("additionalProperties"), dict):
        yield ".<name>", entries
    for entries in schema.get("patternProperties", {}).values():
        yield ".<name>", entries
    if isinstance(items := schema.get("items"), dict):
        yield "[]", items
    for number, item in enumerate(schema.get("prefixItems", ())):
        yield f"[{number}]", item


def _row(path: str, key: str, shape: Shape, *, required: bool) -> str:
    holds = shape.words(key)
    default = "required" if required else _default(shape.schema)
    meaning = shape.schema.get("description") or next(
        (each.schema["description"] for each in shape.variants() if "description" in each.schema), ""
    )
    cells = (f"`{path}`", holds, default, " ".join(meaning.split()))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(schema: Schema) -> str:
    if "default" not in schema or schema["default"] is None:
        return "none"
    return f"`{json.dumps(schema['default'])}`"
