"""One choice of a finished chat or completion as the choices of its chunks, in order."""

from collections.abc import Iterator
from typing import Any, Final, TypeGuard

from penstock.openai.gather import NAMES
from penstock.openai.pieces import pieces, spells, spoken
from penstock.openai.request import Json

# What is told last comes last; whatever else is text (reasoning, thinking) was said before it.
_ORDERED: Final = ("content", "refusal")
_CALLS: Final = frozenset({"tool_calls", "function_call"})
_SPLIT_IN_CALL: Final = ("arguments", "input")


def chat(choice: Json, place: int) -> Iterator[Json]:
    """Give the role, the texts piece by piece, the calls, whatever else there is, and the finish."""
    message: Json = choice.get("message") or {}
    logprobs = choice.get("logprobs")
    shape: Json = {"index": choice.get("index", place)}
    quiet = _quiet(choice)
    opening = {name: _opening(name, value) for name, value in message.items() if _opens(name, value)}
    yield {**shape, "delta": opening, **quiet}
    told: set[str] = set()
    for name in _texts(message):
        tokens = logprobs.get(name) if isinstance(logprobs, dict) else None
        for piece, own in spoken(message[name], tokens):
            chunk = {**shape, "delta": {name: piece}, **quiet}
            if own:
                told.add(name)
                chunk["logprobs"] = {key: own if key == name else None for key in logprobs or ()}
            yield chunk
    for delta in _calls(message):
        yield {**shape, "delta": delta, **quiet}
    for name, value in message.items():
        if value and isinstance(value, dict | list) and name not in _CALLS | NAMES:
            yield {**shape, "delta": {name: value}, **quiet}
    yield {**shape, "delta": {}, **_finish(choice, told)}


def completion(choice: Json, place: int) -> Iterator[Json]:
    """Give the text piece by piece, and the finish."""
    text, logprobs = choice.get("text") or "", choice.get("logprobs")
    shape: Json = {"index": choice.get("index", place)}
    quiet = _quiet(choice)
    told: set[str] = set()
    if _lists_tokens(logprobs, text):
        told = set(logprobs)
        for at, token in enumerate(logprobs["tokens"]):
            own = {name: value and value[at : at + 1] for name, value in logprobs.items()}
            yield {**shape, "text": token, **quiet, "logprobs": own}
    else:
        for piece in pieces(text):
            yield {**shape, "text": piece, **quiet}
    yield {**shape, "text": "", **_finish(choice, told)}


def _quiet(choice: Json) -> Json:
    """Give what a chunk of this choice says of its end while it goes on."""
    return {**({"logprobs": None} if "logprobs" in choice else {}), "finish_reason": None}


def _opens(name: str, value: Any) -> bool:  # noqa: ANN401
    """Whether a field stands in the first delta: the role, the content's start, all that is empty."""
    return name in NAMES or name == "content" or not value or isinstance(value, bool | int | float)


def _opening(name: str, value: Any) -> Any:  # noqa: ANN401
    """Give what the first delta says of a field: of a content, only what its kind is."""
    if name != "content":
        return value
    return "" if isinstance(value, str) else None if isinstance(value, dict | list) else value


def _texts(message: Json) -> list[str]:
    texts = [
        name for name, value in message.items() if isinstance(value, str) and value and name not in NAMES
    ]
    return sorted(texts, key=lambda name: _ORDERED.index(name) if name in _ORDERED else -1)


def _calls(message: Json) -> Iterator[Json]:
    calls = message.get("tool_calls")
    for index, call in enumerate(calls if isinstance(calls, list) else ()):
        for delta in _call(call):
            yield {"tool_calls": [{"index": index, **delta}]}
    if function := message.get("function_call"):
        for delta in _function(function):
            yield {"function_call": delta}


def _call(call: Json) -> Iterator[Json]:
    """Give a call's id, type and name first, then what it is called with in pieces."""
    kind = next((name for name in ("function", "custom") if isinstance(call.get(name), dict)), None)
    names = {name: value for name, value in call.items() if name != "index"}
    if kind is None:
        yield names
        return
    first, *rest = _function(call[kind])
    yield {**names, kind: first}
    for delta in rest:
        yield {kind: delta}


def _function(function: Json) -> Iterator[Json]:
    long = [name for name in _SPLIT_IN_CALL if isinstance(function.get(name), str)]
    yield {**function, **dict.fromkeys(long, "")}
    for name in long:
        for piece in pieces(function[name]):
            yield {name: piece}


def _finish(choice: Json, told: set[str]) -> Json:
    """Give what ends a choice: log probabilities not told yet, the reason, and any field of its own."""
    built = ("index", "message", "text", "delta")
    finish = {name: value for name, value in choice.items() if name not in built}
    logprobs = finish.get("logprobs")
    if told and isinstance(logprobs, dict):
        rest = {name: None if name in told else value for name, value in logprobs.items()}
        finish["logprobs"] = rest if any(value is not None for value in rest.values()) else None
    return finish


def _lists_tokens(logprobs: Any, text: str) -> TypeGuard[Json]:  # noqa: ANN401
    """Whether these are a completion's parallel lists, one entry a token, that spell the text."""
    if not isinstance(logprobs, dict) or not isinstance(logprobs.get("tokens"), list):
        return False
    tokens = logprobs["tokens"]
    parallel = (
        value is None or (isinstance(value, list) and len(value) == len(tokens))
        for value in logprobs.values()
    )
    return bool(tokens) and all(parallel) and spells(text, tokens)
