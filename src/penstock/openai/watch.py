"""Watching a stream go by: is the answer whole, what did it cost, how did it end?"""

from enum import StrEnum
from typing import Any, Final

from penstock.openai import usage
from penstock.openai.ending import Ending, Tally
from penstock.openai.hide_usage import HideUsage
from penstock.openai.request import Endpoint, Json
from penstock.openai.sse import DONE, Event

__all__ = ["HideUsage", "Verdict", "Watch", "choices_asked"]


class Verdict(StrEnum):
    """What one event, or the end of the upstream's stream, means for the answer."""

    GOES_ON = "goes_on"
    FINAL = "final"  # the answer is whole
    UPSTREAM_ERROR = "upstream_error"  # the upstream said that it failed
    GARBLED = "garbled"  # no JSON object, and not the end mark
    TRUNCATED = "truncated"  # the end came before the answer was whole


# Tuples, since what a server sends need not be hashable.
_TERMINAL: Final = ("response.completed", "response.incomplete", "response.failed")
_ERRORS: Final = ("error", "response.error")


def choices_asked(endpoint: Endpoint, body: Json) -> int:
    """Give how many choices a request asks for: `n`, times the prompts of a completion."""
    n = body.get("n")
    asked = n if isinstance(n, int) and n > 0 else 1
    prompt = body.get("prompt") if endpoint is Endpoint.COMPLETIONS else None
    # A flat list of numbers is one prompt in tokens; a list of texts or of lists is many prompts.
    several = isinstance(prompt, list) and bool(prompt) and isinstance(prompt[0], str | list)
    return int(asked) * (len(prompt) if several else 1)  # type: ignore[arg-type]


class Watch:
    """Judges each event as it arrives from upstream; `n` choices were asked for.

    `usage` and `model` are what the answer has told so far; `usage` is the last one told.
    """

    def __init__(self, endpoint: Endpoint, n: int = 1) -> None:
        self._responses = endpoint is Endpoint.RESPONSES
        self._n = n
        self._tally = Tally()
        self._over = False
        self.usage: usage.Usage | None = None
        self.model: str | None = None

    @property
    def finish_reasons(self) -> dict[int, str]:
        """The finish reason of each choice that has ended; of a response, its status as choice 0."""
        return self._tally.reasons

    @property
    def tool_calls(self) -> bool:
        """Whether a tool call was seen."""
        return self._tally.tool_calls

    def see(self, event: Event) -> Verdict:
        """Judge the next event."""
        if event.data is None:
            return Verdict.GOES_ON
        if event.data.startswith(DONE):  # as the SDKs do it: what follows the mark does not matter
            return self._at_mark()
        told = event.json
        if event.name == "error":
            return Verdict.UPSTREAM_ERROR
        if not isinstance(told, dict):
            return Verdict.GARBLED
        if _is_error(told):
            return Verdict.UPSTREAM_ERROR
        return self._response_event(told) if self._responses else self._chunk(told)

    def at_end(self) -> Verdict:
        """Judge the end of the upstream's stream; not every server sends the end mark."""
        whole = self._over if self._responses else self._tally.whole(self._n)
        return Verdict.FINAL if whole else Verdict.TRUNCATED

    def _at_mark(self) -> Verdict:
        """Judge the end mark. A server that says so may have ignored `n`, or know no finish reasons."""
        told = self._tally
        silent = bool(told.open) and not told.knows_reasons
        whole = self._over if self._responses else told.whole(1) or silent
        return Verdict.FINAL if whole else Verdict.TRUNCATED

    def ending(self) -> Ending:
        """Say how the answer ended, as `ending()` says it of the same answer in plain JSON."""
        return self._tally.ending()

    def _chunk(self, chunk: Json) -> Verdict:
        self._tally.choices(chunk.get("choices"), "delta")
        self._note(chunk)
        return Verdict.GOES_ON

    def _response_event(self, told: Json) -> Verdict:
        kind = told.get("type")
        if kind == "response.output_item.done":
            self._tally.item(told.get("item"))
        response = told.get("response")
        if isinstance(response, dict):
            self._note(response)
        if kind not in _TERMINAL:
            return Verdict.GOES_ON
        self._over = True
        self._tally.reasons[0] = str(kind).removeprefix("response.")
        if isinstance(response, dict):
            self._tally.response(response)
        return Verdict.FINAL

    def _note(self, of: Json) -> None:
        if of.get("usage") is not None:
            self.usage = usage.read(of) or self.usage
        if self.model is None and isinstance(model := of.get("model"), str) and model:
            self.model = model


def _is_error(told: Json) -> bool:
    """Tell an error from a chunk that carries `"error": null` along, as some servers' chunks do."""
    error: Any = told.get("error")
    if error or told.get("type") in _ERRORS or told.get("object") == "error":
        return True
    return "choices" not in told and (error is not None or "detail" in told)
