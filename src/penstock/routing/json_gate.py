"""Does an answer hold the JSON, or make the tool call, that the request asked for?

A subset of JSON Schema: what OpenAI's structured outputs allow. Other keywords are not looked at, so a gate
may pass what a full validator would refuse, never the other way round.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from penstock.openai import wire_json

Json = Any
"""JSON is what it is."""

Checked = str | None
"""The code of what is wrong, or None."""

_DEEPEST: Final = 40
_TYPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: (
        not isinstance(value, bool)
        and (isinstance(value, int) or (isinstance(value, float) and value.is_integer()))
    ),
}


def json_problem(text: str, schema: Mapping[str, Any]) -> Checked:
    """Say what is wrong with a text that should be JSON of this schema."""
    try:
        value = wire_json.decode(text.strip().encode("utf-8", "replace"))
    except ValueError:
        return "not_json"
    return None if conforms(value, schema) else "schema"


def tool_problem(call: Mapping[str, Any], tools: Sequence[Mapping[str, Any]]) -> Checked:
    """Say what is wrong with a tool call: an unknown name, no JSON, or arguments that don't fit."""
    function = call.get("function") or {}
    offered = {
        tool["function"].get("name"): tool["function"] for tool in tools if tool.get("function") is not None
    }
    tool = offered.get(function.get("name"))
    if tool is None:
        return "unknown_tool"
    problem = json_problem(str(function.get("arguments") or ""), tool.get("parameters") or {"type": "object"})
    return {"not_json": "arguments_not_json", "schema": "arguments_schema"}.get(problem or "")


def conforms(value: Json, schema: Json, root: Json = None, depth: int = 0) -> bool:
    """Say whether a value fits a schema."""
    if not isinstance(schema, Mapping):
        return schema is not False
    root = schema if root is None else root
    if depth > _DEEPEST:
        return True
    if isinstance(reference := schema.get("$ref"), str):
        return conforms(value, _resolved(reference, root), root, depth + 1)
    return (
        _type_fits(value, schema.get("type"))
        and ("enum" not in schema or value in schema["enum"])
        and ("const" not in schema or value == schema["const"])
        and _combined(value, schema, root, depth)
        and _inside_fits(value, schema, root, depth)
    )


def _type_fits(value: Json, wanted: Json) -> bool:
    names = [wanted] if isinstance(wanted, str) else wanted or []
    known = [_TYPES[name] for name in names if name in _TYPES]
    return not known or any(fits(value) for fits in known)


def _combined(value: Json, schema: Mapping[str, Any], root: Json, depth: int) -> bool:
    some = schema.get("anyOf") or schema.get("oneOf")
    return (not some or any(conforms(value, one, root, depth + 1) for one in some)) and all(
        conforms(value, one, root, depth + 1) for one in schema.get("allOf", ())
    )


def _inside_fits(value: Json, schema: Mapping[str, Any], root: Json, depth: int) -> bool:
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        if any(name not in value for name in schema.get("required", ())):
            return False
        other = schema.get("additionalProperties", True)
        return all(conforms(of, properties.get(name, other), root, depth + 1) for name, of in value.items())
    if isinstance(value, list) and "items" in schema:
        return all(conforms(item, schema["items"], root, depth + 1) for item in value)
    return True


def _resolved(reference: str, root: Json) -> Json:
    """Follow a reference into the same schema; what leads nowhere allows everything."""
    found = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        if part:
            found = (
                found.get(part.replace("~1", "/").replace("~0", "~"), {})
                if isinstance(found, Mapping)
                else {}
            )
    return found
