"""What a model has said so far: the bytes of every text in a stream's events, or in a plain answer.

This is how answers are measured whose usage never comes: the client left, or the server sends none.
"""

from typing import Any, Final

from penstock.openai.sse import Event

_SAID: Final = frozenset({"content", "refusal", "reasoning_content", "reasoning"})
_CALLED: Final = ("name", "arguments", "input")
_CALLS: Final = ("function_call", "mcp_call", "custom_tool_call")
# Sound in base64: its bytes say nothing about tokens.
_SOUND: Final = ("response.audio.delta", "response.output_audio.delta")

Piece = tuple[tuple[Any, ...], str]
"""A text, and where it goes on."""


class Produced:
    """Counts what one answer says, all its choices together.

    `bytes` is the length in UTF-8. With `collect` the texts are kept as well, each in one piece, so
    that a tokenizer can count them.
    """

    def __init__(self, *, collect: bool = False) -> None:
        self.bytes = 0
        self._kept: dict[tuple[Any, ...], list[str]] | None = {} if collect else None

    def see(self, event: Event) -> None:
        """Take in the next event of a stream; comments, the end mark and junk say nothing."""
        self._take(_of_event(event.json))

    def see_answer(self, answer: Any) -> None:  # noqa: ANN401 - any JSON may come from upstream
        """Take in a plain answer."""
        self._take(_of_answer(answer))

    @property
    def texts(self) -> list[str]:
        """The texts kept so far: of each choice what it said, thought and called."""
        return ["".join(parts) for parts in (self._kept or {}).values()]

    def _take(self, pieces: list[Piece]) -> None:
        for place, text in pieces:
            self.bytes += utf8_bytes(text)
            if self._kept is not None:
                self._kept.setdefault(place, []).append(text)


def produced_bytes(event: Event) -> int:
    """Give how many bytes of text one event of a stream adds to the answer."""
    return sum(utf8_bytes(text) for _, text in _of_event(event.json))


def answer_bytes(answer: Any) -> int:  # noqa: ANN401 - any JSON may come from upstream
    """Give how many bytes of text a plain answer has."""
    return sum(utf8_bytes(text) for _, text in _of_answer(answer))


def utf8_bytes(text: str) -> int:
    """Give a text's length in UTF-8; half an emoji counts as the three bytes it is replaced by."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _of_event(told: Any) -> list[Piece]:  # noqa: ANN401
    pieces: list[Piece] = []
    if isinstance(told, dict):
        _add_choices(pieces, told.get("choices"), "delta")
        if isinstance(kind := told.get("type"), str):
            _add_response_event(pieces, kind, told)
    return pieces


def _of_answer(answer: Any) -> list[Piece]:  # noqa: ANN401
    pieces: list[Piece] = []
    if isinstance(answer, dict):
        _add_choices(pieces, answer.get("choices"), "message")
        for place, item in enumerate(_dicts(answer.get("output"))):
            _add(pieces, item, _CALLED, place)
            for field in ("content", "summary"):
                for part, inner in enumerate(_dicts(item.get(field))):
                    _add(pieces, inner, ("text", "refusal"), place, field, part)
    return pieces


def _add_choices(pieces: list[Piece], choices: Any, part: str) -> None:  # noqa: ANN401
    for place, choice in enumerate(_dicts(choices)):
        index = choice.get("index")
        index = index if isinstance(index, int) else place
        _add(pieces, choice, ("text",), index)
        if isinstance(said := choice.get(part), dict):
            _add_message(pieces, said, index)


def _add_message(pieces: list[Piece], said: dict[str, Any], index: int) -> None:
    for name, value in said.items():
        if not value:
            continue
        if isinstance(value, str):
            # Two names for one thing; some servers send both.
            if name in _SAID and not (name == "reasoning" and said.get("reasoning_content")):
                pieces.append(((index, name), value))
        elif name == "content":
            _add_parts(pieces, value, index)
        elif name == "function_call" and isinstance(value, dict):
            _add(pieces, value, _CALLED, index, name)
        elif name == "tool_calls":
            _add_calls(pieces, value, index)


def _add_parts(pieces: list[Piece], parts: Any, index: int) -> None:  # noqa: ANN401
    """Add content that some servers give in parts: a text, or a list of thoughts."""
    for part in _dicts(parts):
        _add(pieces, part, ("text",), index, "content")
        for thought in _dicts(part.get("thinking")):
            _add(pieces, thought, ("text",), index, "thinking")


def _add_calls(pieces: list[Piece], calls: Any, index: int) -> None:  # noqa: ANN401
    for place, call in enumerate(_dicts(calls)):
        number = call.get("index")
        number = number if isinstance(number, int) else place
        for kind in ("function", "custom"):
            if isinstance(made := call.get(kind), dict):
                _add(pieces, made, _CALLED, index, "tool_calls", number)


def _add_response_event(pieces: list[Piece], kind: str, told: dict[str, Any]) -> None:
    """Add what a Responses event says; the `done` and `completed` events only say it again."""
    at = (told.get("output_index"), told.get("content_index"), told.get("summary_index"))
    place = tuple(number if isinstance(number, int) else None for number in at)
    if kind.endswith(".delta") and kind not in _SOUND:
        _add(pieces, told, ("delta",), kind, *place)
    item = told.get("item")
    if kind == "response.output_item.added" and isinstance(item, dict) and item.get("type") in _CALLS:
        _add(pieces, item, ("name",), kind, *place)


def _add(pieces: list[Piece], of: dict[str, Any], names: tuple[str, ...], *place: Any) -> None:  # noqa: ANN401
    for name in names:
        text = of.get(name)
        if isinstance(text, str) and text:
            pieces.append(((*place, name), text))


def _dicts(value: Any) -> list[dict[str, Any]]:  # noqa: ANN401
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
