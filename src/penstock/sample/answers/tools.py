"""Whether the sample model calls a tool, which one, and with what arguments."""

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from penstock.sample.answers.words import Heard, Json

PHRASE: Final = "call a tool"
"""A last user text that contains this makes the model call the first tool of the request."""

DELTA_CHARACTERS: Final = 6
"""How much of the arguments one delta of a stream carries."""

_SAMPLES: Final[dict[str, Any]] = {
    "integer": 1,
    "number": 1.5,
    "boolean": True,
    "array": [],
    "object": {},
    "null": None,
}


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call: the tool's name and its arguments as JSON text."""

    name: str
    arguments: str

    @property
    def deltas(self) -> list[str]:
        """The arguments in the portions in which a stream sends them."""
        text = self.arguments
        return [text[at : at + DELTA_CHARACTERS] for at in range(0, len(text), DELTA_CHARACTERS)]


def called(body: Json, heard: Heard) -> ToolCall | None:
    """Give the call that the request asks for, by its words or by its `tool_choice`."""
    tools = [_function(tool) for tool in body.get("tools") or () if tool.get("type") == "function"]
    choice = body.get("tool_choice", "auto")
    if not tools or choice == "none" or heard.tool_result is not None:
        return None
    wanted = _function(choice).get("name") if isinstance(choice, dict) else None
    if choice == "auto" and PHRASE not in heard.text.lower():
        return None
    tool = next((tool for tool in tools if tool.get("name") == wanted), tools[0])
    return ToolCall(str(tool.get("name")), _arguments(tool.get("parameters"), heard.text))


def _function(tool: Json) -> Json:
    """Give the part with the name: chat wraps it in `function`, responses does not."""
    inner = tool.get("function")
    return inner if isinstance(inner, dict) else tool


def _arguments(parameters: Any, text: str) -> str:  # noqa: ANN401
    """Fill every property of the tool's schema: strings with the user's text, the rest with samples."""
    properties = parameters.get("properties") if isinstance(parameters, dict) else None
    filled = {name: _value(schema, text) for name, schema in (properties or {"text": {}}).items()}
    return msgspec.json.encode(filled).decode()


def _value(schema: Any, text: str) -> Any:  # noqa: ANN401
    kind = schema.get("type") if isinstance(schema, dict) else None
    if isinstance(schema, dict) and schema.get("enum"):
        return schema["enum"][0]
    return _SAMPLES.get(kind, text) if isinstance(kind, str) else text
