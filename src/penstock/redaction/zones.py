"""What each field of a request is: a text that may be changed, or a part of the structure that may not.

A zone is a kind of object. Its rules say for a field what its strings are and which zone its objects
are; lists stand for their items. A field that no rule knows is a text: it is read, and may be changed.
"""

from enum import StrEnum
from typing import Final

from penstock.openai.request import Endpoint, Json


class Kind(StrEnum):
    """What a place is, and so what may be done with a value in it."""

    TEXT = "text"
    NAME = "name"  # a participant's: replaced whole, and without the brackets that some servers refuse
    JSON = "json"  # a JSON text: replaced inside its strings
    STRUCTURAL = "structural"  # read, but a change would break the request
    KEY = "key"  # a field's own name: likewise
    NUMBER = "number"  # likewise, read as its digits
    LINK = "link"  # a file where it is a data URL, else structural
    FILE = "file"  # base64
    SEALED = "sealed"  # the provider's own ciphertext: not read where it is nothing but that


class Zone(StrEnum):
    """A kind of object."""

    FREE = "free"
    RIGID = "rigid"
    CHAT = "chat"
    RESPONSE = "response"
    MESSAGE = "message"
    RESULT = "result"  # a message of a tool, whose name is the tool's
    PART = "part"
    AUDIO = "audio"
    TOOL = "tool"
    FORMAT = "format"
    SCHEMA = "schema"
    PROPERTIES = "properties"


Rule = tuple[Kind, Zone]
_FREE: Final[Rule] = (Kind.TEXT, Zone.FREE)
_RIGID: Final[Rule] = (Kind.STRUCTURAL, Zone.RIGID)
_SCHEMA: Final[Rule] = (Kind.STRUCTURAL, Zone.SCHEMA)
_PART: Final[Rule] = (Kind.TEXT, Zone.PART)
_TOOL: Final[Rule] = (Kind.TEXT, Zone.TOOL)


def _rigid(names: str) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), _RIGID)


_BODY: Final = {
    **_rigid(
        "model service_tier reasoning_effort verbosity previous_response_id truncation encoding_format "
        "tool_choice function_call conversation include modalities audio stream_options reasoning "
        "prompt_cache_retention logit_bias models provider transforms seed max_tokens max_output_tokens "
        "max_completion_tokens n best_of top_k top_p temperature logprobs top_logprobs dimensions"
    ),
    "tools": _TOOL,
    "functions": _TOOL,
    "response_format": (Kind.STRUCTURAL, Zone.FORMAT),
    "text": (Kind.TEXT, Zone.FORMAT),
    "messages": (Kind.TEXT, Zone.MESSAGE),
    "prediction": _PART,
    **dict.fromkeys(("metadata", "user", "stop", "suffix", "prompt", "instructions", "input"), _FREE),
}
_PART_RULES: Final[dict[str, Rule]] = {
    **_rigid("type role id detail file_id call_id cache_control tool_use_id media_type index"),
    **dict.fromkeys(("text", "refusal", "filename"), _FREE),
    "content": _PART,
    "image_url": (Kind.LINK, Zone.PART),
    "url": (Kind.LINK, Zone.PART),
    "file_url": (Kind.LINK, Zone.PART),
    "file": _PART,
    "source": _PART,
    "input_audio": (Kind.TEXT, Zone.AUDIO),
    "file_data": (Kind.FILE, Zone.PART),
    "data": (Kind.FILE, Zone.PART),
    "encrypted_content": (Kind.SEALED, Zone.RIGID),
    "signature": (Kind.SEALED, Zone.RIGID),
}
_MESSAGE_RULES: Final[dict[str, Rule]] = {
    **_PART_RULES,
    **_rigid("tool_call_id status audio"),
    "name": (Kind.NAME, Zone.FREE),
    "tool_calls": _TOOL,
    "function_call": _TOOL,
}
_TOOL_RULES: Final[dict[str, Rule]] = {
    **_rigid(
        "type id index name strict status format server_label server_url connector_id authorization headers "
        "allowed_tools require_approval vector_store_ids container syntax definition model size quality "
        "background output_format cache_control"
    ),
    **dict.fromkeys(("description", "server_description", "input"), _FREE),
    "function": _TOOL,
    "custom": _TOOL,
    "arguments": (Kind.JSON, Zone.FREE),
    "parameters": _SCHEMA,
    "input_schema": _SCHEMA,
}
_ITEM_RULES: Final[dict[str, Rule]] = {
    **_PART_RULES,
    **_rigid("name status server_label approval_request_id namespace"),
    **dict.fromkeys(("output", "summary"), _PART),
    "arguments": (Kind.JSON, Zone.FREE),
    "tools": _TOOL,
}
_FORMAT_RULES: Final[dict[str, Rule]] = {
    **_rigid("type name verbosity syntax"),
    "description": _FREE,
    "schema": _SCHEMA,
    "json_schema": (Kind.STRUCTURAL, Zone.FORMAT),
    "format": (Kind.STRUCTURAL, Zone.FORMAT),
}
_SCHEMA_RULES: Final[dict[str, Rule]] = {
    **dict.fromkeys(("description", "title", "$comment", "default", "examples", "example"), _FREE),
    **dict.fromkeys(
        ("properties", "$defs", "definitions", "patternProperties", "dependentSchemas"),
        (Kind.STRUCTURAL, Zone.PROPERTIES),
    ),
    **_rigid("enum const required type pattern $ref $id $schema"),
}

_ZONES: Final[dict[Zone, tuple[dict[str, Rule], Rule]]] = {
    Zone.FREE: ({}, _FREE),
    Zone.RIGID: ({}, _RIGID),
    Zone.CHAT: (_BODY, _FREE),
    Zone.RESPONSE: (
        {**_BODY, "input": (Kind.TEXT, Zone.PART), "prompt": (Kind.STRUCTURAL, Zone.FREE)},
        _FREE,
    ),
    Zone.MESSAGE: (_MESSAGE_RULES, _FREE),
    Zone.RESULT: ({**_MESSAGE_RULES, "name": _RIGID}, _FREE),
    Zone.PART: (_ITEM_RULES, _FREE),
    Zone.AUDIO: ({"data": (Kind.FILE, Zone.RIGID), "format": _RIGID}, _FREE),
    Zone.TOOL: (_TOOL_RULES, _FREE),
    Zone.FORMAT: (_FORMAT_RULES, _FREE),
    Zone.SCHEMA: (_SCHEMA_RULES, _SCHEMA),
    Zone.PROPERTIES: ({}, _SCHEMA),
}
KNOWN: Final = frozenset(name for rules, _ in _ZONES.values() for name in rules)
"""Names of the API's own: never somebody's data, and no help to a detector."""


def body_zone(endpoint: Endpoint) -> Zone:
    """Give the zone of a request's body."""
    return Zone.RESPONSE if endpoint is Endpoint.RESPONSES else Zone.CHAT


def rule_for(zone: Zone, name: str) -> Rule:
    """Give the rule for a field of an object of this zone."""
    rules, otherwise = _ZONES[zone]
    return rules.get(name, otherwise)


def refined(zone: Zone, value: Json) -> Zone:
    """Give the zone of an object that is known by what it holds."""
    if zone is Zone.MESSAGE and value.get("role") in ("tool", "function"):
        return Zone.RESULT
    return zone


def knows_name(zone: Zone, name: str) -> bool:
    """Whether a field's name is the API's own here; elsewhere the same name is the client's."""
    return name in _ZONES[zone][0]
