"""JSON pointers as an audit may show them: the API's own names and indexes, nothing of a client's."""

from typing import Final

LONGEST: Final = 200
HIDDEN: Final = "*"

_OPEN: Final = frozenset(
    """
    $comment additionalProperties allOf annotations anyOf arguments audio choices code container content
    custom data default definition delta description detail developer document encrypted_content enum error
    examples example explanation file file_data file_id file_url filename filters format function
    function_call functions id image_url index input input_audio input_image input_schema instructions items
    json_schema label logprobs message messages model name not oneOf outputs output parameters parts
    prediction prefixItems prefix prompt quote reasoning reasoning_content refusal response response_format
    result results role safety_identifier schema server_description server_label server_url source status
    stop strict suffix summary system text thinking title token tool_call_id tool_calls tool_choice tools
    transcript type url user web_search_options user_location approximate city region
    """.split()
)
# The names in these objects are the client's own, even where one is spelled like the API's.
_HOLD_NAMES: Final = frozenset(
    "metadata properties patternProperties dependentSchemas definitions $defs headers logit_bias variables "
    "attributes".split()
)
_KNOWN: Final = _OPEN | _HOLD_NAMES
_INDEX_DIGITS: Final = 5


def shown(pointer: str) -> str:
    """Give a JSON pointer with `*` for every name that is not the API's; an overlong one ends in `/*`.

    A pointer that was shown once is shown the same again.
    """
    kept: list[str] = []
    length, free = 0, False
    for name in pointer.split("/")[1:]:
        known = not free and (name in _KNOWN or (len(name) <= _INDEX_DIGITS and _is_index(name)))
        part = name if known else HIDDEN
        length += len(part) + 1
        if length > LONGEST - 2:
            kept.append(HIDDEN)
            break
        kept.append(part)
        free = known and name in _HOLD_NAMES
    return "".join([f"/{part}" for part in kept])


def _is_index(name: str) -> bool:
    return name.isascii() and name.isdigit()
