"""The most tokens that a prompt can have: told from its bytes in microseconds, or counted.

Byte-level BPE, and SentencePiece with byte fallback, never make more tokens than a text has bytes in
UTF-8, and a JSON string is never shorter than the text it spells: `Request.raw` is our own writing,
so its length bounds every text in it. Its braces, quotes and field names outweigh what a chat
template puts around messages. What a prompt has beside that is reckoned here.

Nobody publishes how tools and schemas are told to a model; what is added for them is a margin.
"""

from typing import Any, Final

from penstock.models.policy import Model
from penstock.models.tokenizer import count_tokens
from penstock.openai import wire_json
from penstock.openai.produced import utf8_bytes
from penstock.openai.request import Endpoint, Json, Request

# What a template says of its own: dates, channels, the assistant's opening. The largest known has 70 tokens.
_TEMPLATE_TOKENS: Final = 128
# What introduces tools and schemas; the largest known has about 350. Models whose tokenizer we have say less.
_DEFINITIONS_TOKENS: Final = 512
_DEFINITIONS_COUNT: Final = 64
_DEFINITIONS: Final = ("tools", "functions", "response_format", "text")
_SPOKEN: Final = {
    Endpoint.CHAT: ("messages",),
    Endpoint.RESPONSES: ("input", "instructions"),
    Endpoint.COMPLETIONS: ("prompt", "suffix"),
    Endpoint.EMBEDDINGS: ("input",),
}
_OBJECT_TOKENS: Final = 4  # around a message: its start, its role's end, its end, a name
_EDGE_TOKENS: Final = 2  # the marks before and after a prompt that is a plain text

# Each image, and each file or film that a part only points to, has one of these. In our writing a quote
# within a text has a backslash, so they stand in no text; as a property's name in a schema they may.
_PART_MARKS: Final = (b'_url"', b'"file_')
_UNSEEN_FIELDS: Final = ("web_search_options", "previous_response_id", "conversation")
_PROMPTS: Final = {Endpoint.COMPLETIONS: "prompt", Endpoint.EMBEDDINGS: "input"}
_IMAGES: Final = ("image_url", "input_image", "computer_screenshot")
_FILMS: Final = ("video_url", "audio_url")
_OWN_TOOLS: Final = ("function", "custom")


def prompt_bound(request: Request, model: Model) -> int:
    """Give the most tokens that a request's prompt can have.

    `n` and `best_of` don't multiply it. What the request only points to can't be measured: there,
    and wherever the bytes say more, the bound is what the model's context holds.
    """
    body = request.body or {}
    given = prompts(request.endpoint, body)
    most = model.context_tokens * max(1, len(given))
    parts = _parts(request)
    if _unseen(request, parts) is not None:
        return most
    listed = [each for each in given if isinstance(each, list)]
    if given and len(listed) == len(given) and not body.get("suffix"):
        tokens = sum(map(len, listed))
    else:
        tokens = _bytes_bound(request, body) + sum(
            model.image_tokens - _image_bytes(part) for part in parts if part.get("type") in _IMAGES
        )
    return min(most, tokens + _around(given))


def prompt_count(request: Request, model: Model) -> int | None:
    """Count a prompt with its model's tokenizer, and a little more: a bound that is close.

    None where there is no tokenizer, or where the request only points to a part of its prompt. Costs
    what the tokenizer costs (tokenizer.py), so it is for prompts whose bytes say too much.
    """
    body = request.body or {}
    if model.tokenizer == "none" or unseen(request) is not None:
        return None
    given = prompts(request.endpoint, body)
    texts, others = _texts([body.get(field) for field in _SPOKEN.get(request.endpoint, ())], model)
    counted = count_tokens(texts, model.tokenizer)
    defined = _definitions(body)
    count = count_tokens([wire_json.encode(defined).decode()], model.tokenizer) if defined else 0
    if counted is None or count is None:
        return None
    definitions = count * 5 // 4 + _DEFINITIONS_COUNT if defined else 0
    most = model.context_tokens * max(1, len(given))
    return min(most, counted + others + definitions + _around(given))


def extra_output_bound(request: Request) -> int:
    """Give how many tokens an answer may be charged beyond its limit: a prediction that did not come true."""
    predicted = (request.body or {}).get("prediction")
    return len(wire_json.encode(predicted)) if predicted else 0


def unseen(request: Request) -> str | None:
    """Name the part of a prompt that the request only points to; None where all of it is there.

    Tools that the provider runs (`tools`) are among these: each round of theirs is a call with a
    prompt of its own, and their sum may be more than one context holds.
    """
    return _unseen(request, _parts(request))


def prompts(endpoint: Endpoint, body: Json) -> list[str | list[int] | None]:
    """Give each prompt of a completion or of embeddings: a text, a list of tokens, or None for anything else.

    Other requests have one prompt, which is not given.
    """
    if endpoint not in _PROMPTS:
        return []
    told = body.get(_PROMPTS[endpoint])
    if isinstance(told, list) and told and not isinstance(told[0], int):
        return [_prompt(each) for each in told]
    return [_prompt(told)]


def _prompt(told: Any) -> str | list[int] | None:  # noqa: ANN401 - any JSON may come from a client
    if isinstance(told, str):
        return told
    # One server takes texts among the tokens.
    return told if isinstance(told, list) and set(map(type, told)) == {int} else None


def _around(given: list[Any]) -> int:
    """Give what stands around the prompts: their edges, or around messages a template."""
    return _EDGE_TOKENS * len(given) if given else _TEMPLATE_TOKENS


def _definitions(body: Json) -> list[Any]:
    return [body[name] for name in _DEFINITIONS if isinstance(body.get(name), list | dict)]


def _texts(told: Any, model: Model) -> tuple[list[str], int]:  # noqa: ANN401
    """Give every text within a value, and the tokens of the rest: tokens, images, marks around objects."""
    texts: list[str] = []
    others = 0
    waiting = [told]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            texts.append(value)
        elif isinstance(value, dict):
            image = value.get("type") in _IMAGES
            others += _OBJECT_TOKENS + (model.image_tokens if image else 0)
            if not image:
                waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, int):
            others += 1
    return texts, others


def _unseen(request: Request, parts: list[Json]) -> str | None:
    body = request.body or {}
    if any(tool.get("type", "function") not in _OWN_TOOLS for tool in _dicts(body.get("tools"))):
        return "tools"  # first, since they may be refused whatever else there is
    for field in _UNSEEN_FIELDS:
        if body.get(field) is not None:
            return field
    if request.endpoint is Endpoint.RESPONSES and body.get("prompt") is not None:
        return "prompt"
    if any(message.get("audio") for message in _dicts(body.get("messages"))):
        return "audio"  # an answer of earlier, by its id
    if any("content" not in item and _is_reference(item) for item in _dicts(body.get("input"))):
        return "item_reference"
    return next(filter(None, map(_points_to, parts)), None)


def _is_reference(item: Json) -> bool:
    return item.get("type", "item_reference") in (None, "item_reference")


def _parts(request: Request) -> list[Json]:
    """Give every object in the messages or the input, where one of them may be more than a text."""
    raw, body = request.raw, request.body
    if body is None or not any(mark in raw for mark in _PART_MARKS):
        return []
    found: list[Json] = []
    waiting: list[Any] = [body.get("messages"), body.get("input")]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            found.append(value)
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
    return found


def _bytes_bound(request: Request, body: Json) -> int:
    raw = request.raw
    tokens = len(raw)
    if b'"arguments"' in raw:
        # Calls of earlier turns: some templates write their arguments anew, with a space after each of these.
        tokens += raw.count(b",") + raw.count(b":")
    if defined := _definitions(body):
        # They are told to the model in a form of the provider's own, with indents at worst: twice their size.
        tokens += len(wire_json.encode(defined)) + _DEFINITIONS_TOKENS
    return tokens


def _image_bytes(part: Json) -> int:
    """Give how many bytes of an image stand in the request itself."""
    told = part.get("image_url")
    url = told.get("url") if isinstance(told, dict) else told
    return utf8_bytes(url) if isinstance(url, str) and url.startswith("data:image/") else 0


def _points_to(part: Json) -> str | None:
    """Name what a part points to, or holds in a form whose tokens its bytes don't bound."""
    kind = part.get("type")
    if kind in _IMAGES:
        return None  # as large as any image, wherever it stands
    if kind in _FILMS:
        return str(kind)
    for name in ("file_id", "file_url"):
        if isinstance(part.get(name), str):
            return name
    data = part.get("file_data")
    # A PDF counts by its pages, and those are compressed.
    return "file_data" if isinstance(data, str) and not data.startswith("data:text/") else None


def _dicts(value: Any) -> list[Json]:  # noqa: ANN401
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
