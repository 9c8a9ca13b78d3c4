"""How an answer ended, read from its JSON or tallied from its stream, with one result for both."""

from dataclasses import dataclass, field
from typing import Any, Final

from penstock.openai.request import Endpoint, Json

_TRUNCATED: Final = frozenset(
    {"length", "max_tokens", "model_length", "max_output_tokens", "content_filter", "incomplete"}
)
# vLLM and SGLang say abort, OpenRouter says error; the Responses API has the other two.
_FAILED: Final = frozenset({"abort", "error", "failed", "cancelled"})
# A response that was cut, or that is still on its way.
_NOT_COMPLETED: Final = frozenset({"incomplete", "in_progress", "queued"})
_TOOLS: Final = frozenset({"tool_calls", "function_call"})


@dataclass(frozen=True, slots=True)
class Ending:
    """What a cache, a metric or an escalation wants to know of a finished answer.

    `complete`: every choice says how it ended (Responses: the status is `completed`). `truncated`: a
    limit or a filter cut it; in chat such an answer is complete as well. `refused`: the model said
    no in the field made for it. `empty`: a choice holds neither text nor a call nor a refusal.
    """

    complete: bool = False
    truncated: bool = False
    tool_calls: bool = False
    refused: bool = False
    empty: bool = True


def ending(endpoint: Endpoint, answer: Any) -> Ending:  # noqa: ANN401 - any JSON may come from upstream
    """Say how a plain JSON answer ended; whatever is no answer of this endpoint is not complete."""
    if not isinstance(answer, dict):
        return Ending()
    if endpoint is Endpoint.EMBEDDINGS:
        data = answer.get("data")
        whole = isinstance(data, list) and bool(data)
        return Ending(complete=whole, empty=not whole)
    tally = Tally()
    if endpoint is Endpoint.RESPONSES:
        tally.response(answer)
    else:
        tally.choices(answer.get("choices"), "message")
    return tally.ending()


@dataclass(slots=True)
class Tally:
    """Counts what is seen of an answer, whole or piece by piece.

    `reasons` holds the finish reason of every choice that has one (of a response: its status, as
    choice 0); `open` the choices that were seen and have none yet. `knows_reasons` says that the server
    writes the field at all, if only as null.
    """

    reasons: dict[int, str] = field(default_factory=dict)
    open: set[int] = field(default_factory=set)
    tool_calls: bool = False
    refused: bool = False
    knows_reasons: bool = False
    _spoke: set[int] = field(default_factory=set)

    def choices(self, choices: Any, part: str) -> None:  # noqa: ANN401
        """Take a list of choices; `part` is where their content stands: `message` or `delta`."""
        if not isinstance(choices, list):
            return
        for place, choice in enumerate(choices):
            if isinstance(choice, dict):
                index = choice.get("index")
                self._choice(choice, index if isinstance(index, int) else place, part)

    def response(self, response: Json) -> None:
        """Take a response object with its items."""
        output = response.get("output")
        for item in output if isinstance(output, list) else ():
            self.item(item)
        status = response.get("status")
        if isinstance(status, str) and status:
            self.reasons[0] = status

    def item(self, item: Any) -> None:  # noqa: ANN401
        """Take one output item of a response."""
        if not isinstance(item, dict):
            return
        kind = item.get("type")
        if kind == "message":
            content = item.get("content")
            for part in content if isinstance(content, list) else ():
                self._part(part)
        elif isinstance(kind, str) and kind.endswith(("_call", "_approval_request")):
            self.tool_calls = True
            self._spoke.add(0)

    def whole(self, n: int) -> bool:
        """Whether every choice seen has ended, and there are `n` of them."""
        return not self.open and len(self.reasons) >= n

    def ending(self) -> Ending:
        """Sum up. A response counts as complete only with the status `completed`."""
        said = {reason.lower() for reason in self.reasons.values()}
        return Ending(
            complete=bool(said) and not self.open and not said & (_FAILED | _NOT_COMPLETED),
            truncated=bool(said & _TRUNCATED),
            tool_calls=self.tool_calls or bool(said & _TOOLS),
            refused=self.refused,
            empty=not self._spoke or not self._spoke.issuperset(self.reasons.keys() | self.open),
        )

    def _choice(self, choice: Json, index: int, part: str) -> None:
        reason = choice.get("finish_reason")
        self.knows_reasons = self.knows_reasons or "finish_reason" in choice
        if isinstance(reason, str) and reason:  # some providers send "" until the end
            self.reasons[index] = reason
            self.open.discard(index)
        elif index not in self.reasons:
            self.open.add(index)
        said = choice.get(part)
        if isinstance(said, dict):
            self._message(said, index)
        elif choice.get("text"):
            self._spoke.add(index)

    def _message(self, said: Json, index: int) -> None:
        if said.get("content") or said.get("audio"):
            self._spoke.add(index)
        if said.get("tool_calls") or said.get("function_call"):
            self.tool_calls = True
            self._spoke.add(index)
        if said.get("refusal"):
            self.refused = True
            self._spoke.add(index)

    def _part(self, part: Any) -> None:  # noqa: ANN401
        if not isinstance(part, dict):
            return
        if part.get("refusal"):
            self.refused = True
        if part.get("refusal") or part.get("text"):
            self._spoke.add(0)
