"""Models that answer the prompts of `routing/*.jsonl.gz` as the real ones did: `small`, `large` and `second`.

Where the data has no text, one is made that ends in the answer that was extracted from the real one; where
it has no answer either, only whether it was right, a right or a wrong one is made up, so that agreement
between models follows the data as far as the data goes. Tokens are characters / 4.
"""

import gzip
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from aiohttp import web

Row = Mapping[str, Any]
Pred = str | float | None
SMALL: Final = "small"
LARGE: Final = "large"
SECOND: Final = "second"
_FILLER: Final = "We read the question once more and take the next step. "
_NO_RESULT: Final = "This way leads to no result."


@dataclass(frozen=True, slots=True)
class Source:
    """Where a benchmark's models are in the data. Without `small` it is the row's weak model."""

    file: str
    small: str = ""
    second: str = ""
    second_from: str = ""  # another benchmark with the same prompts


SOURCES: Final[Mapping[str, Source]] = {
    "routellm-mmlu": Source("routellm"),
    "routellm-gsm8k": Source("routellm", second="gemma2-2b", second_from="zeroeval-gsm"),
    "zeroeval-gsm": Source("zeroeval", small="llama31-8b", second="gemma2-9b"),
    "mmlupro-llama": Source("mmlupro", second="phi3-mini"),
}


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt, what each model answers, and how good that is, from 0 to 1."""

    group: str
    text: str
    answers: Mapping[str, str]
    quality: Mapping[str, float]


def tokens(text: str) -> int:
    """Count a text as the models here do."""
    return max(1, -(-len(text) // 4))


def prompts(folder: Path, benchmark: str) -> list[Prompt]:
    """Read a benchmark. Raises OSError."""
    source = SOURCES[benchmark]
    seconds: dict[str, Row] = {}
    if source.second_from:
        other = SOURCES[source.second_from].file
        seconds = {row["prompt"].strip(): row for row in _rows(folder, other, source.second_from)}
    return [
        _prompt(row, source, seconds.get(row["prompt"].strip(), row))
        for row in _rows(folder, source.file, benchmark)
        if not source.small or source.small in row["other_ok"]
    ]


def _rows(folder: Path, file: str, benchmark: str) -> list[Row]:
    with gzip.open(folder / f"{file}.jsonl.gz", "rb") as lines:
        return [row for row in map(json.loads, lines) if row["benchmark"] == benchmark]


def _prompt(row: Row, source: Source, beside: Row) -> Prompt:
    """Make each model's answer, the small one's first: the others may have to differ from it."""
    if source.small:
        small_ok = row["other_ok"][source.small]
        pred, chars = row["other_pred"].get(source.small), row["other_chars"].get(source.small)
    else:
        small_ok, pred, chars = row["weak_ok"], row.get("weak_pred"), row.get("weak_chars")
    pred = _told(row["weak_answer"]) if row.get("weak_answer") else pred
    made = _Made(row, small_ok, pred)
    known = "weak_pred" in row or "weak_answer" in row
    small = made.text(pred if known else made.answer(SMALL, small_ok), chars)
    if not source.small:
        small = row.get("weak_answer") or (
            _padded(row["weak_tail"], chars) if row.get("weak_tail") else small
        )
    answers = {SMALL: small, LARGE: made.text(made.answer(LARGE, row["strong_ok"]), row.get("strong_chars"))}
    if source.second:
        chars = beside.get("other_chars", {}).get(source.second) or chars
        answers[SECOND] = made.text(beside["other_pred"].get(source.second), chars)
    return Prompt(row["group"], row["prompt"], answers, {SMALL: small_ok, LARGE: row["strong_ok"]})


class _Made:
    """Makes up answers to one prompt that are right or wrong as the data says."""

    def __init__(self, row: Row, small_ok: float, small_pred: Pred) -> None:
        self._id: str = row["id"]
        self._choices = [letter for letter in "ABCDEFGHIJ" if f"\n{letter}. " in "\n" + row["prompt"]]
        others = row.get("other_ok", {})
        told = [(small_ok, small_pred), (row["weak_ok"], row.get("weak_pred"))]
        told += [(others[name], pred) for name, pred in row.get("other_pred", {}).items()]
        right = [pred for ok, pred in told if ok and pred is not None]
        wrong = {pred for ok, pred in told if not ok}
        self._right = right[0] if right else self._pick("right", wrong)

    def answer(self, model: str, ok: float) -> Pred:
        """Give the right answer, or a wrong one of this model's own."""
        return self._right if ok else self._pick(model, {self._right})

    def text(self, pred: Pred, chars: int | None) -> str:
        """Write an answer out at the length that the real one had; without one, the bare answer."""
        if pred is None:
            return _padded(_NO_RESULT, chars)
        told = f"{pred:.10g}" if isinstance(pred, float) else pred
        return told if chars is None else _padded(f"The answer is {told}.", chars)

    def _pick(self, what: str, but: Iterable[Pred]) -> Pred:
        number = int.from_bytes(hashlib.blake2b(f"{self._id}/{what}".encode(), digest_size=4).digest())
        left = [letter for letter in self._choices if letter not in set(but)] or self._choices
        return left[number % len(left)] if left else float(1_000_000 + number % 1_000_000)


def _told(answer: str) -> Pred:
    """Read the number after the mark that this data's answers end in."""
    _, mark, number = answer.rpartition("####")
    try:
        return float(number.strip().replace(",", "").strip("$")) if mark else None
    except ValueError:
        return None


def _padded(ending: str, chars: int | None) -> str:
    missing = (chars or 0) - len(ending) - 1
    filler = (_FILLER * (missing // len(_FILLER) + 1))[:missing] if missing > 0 else ""
    return f"{filler}\n{ending}" if filler else ending


@dataclass
class Models:
    """An upstream that speaks chat completions. `used` counts tokens by model and direction."""

    prompts: Sequence[Prompt]
    used: Counter[tuple[str, str]] = field(default_factory=Counter)
    port: int = 0

    async def __aenter__(self) -> Self:
        self._answers = {prompt.text: prompt.answers for prompt in self.prompts}
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._chat)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """The base URL for upstreams.yaml."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        asked, model = body["messages"][-1]["content"], body["model"]
        text = self._answers.get(asked, {}).get(model)
        if text is None:
            error = {"message": "not in the data", "type": "invalid_request_error", "code": "unknown"}
            return web.json_response({"error": error}, status=404)
        usage = {"prompt_tokens": tokens(asked), "completion_tokens": tokens(text)}
        usage["total_tokens"] = sum(usage.values())
        self.used[model, "input"] += usage["prompt_tokens"]
        self.used[model, "output"] += usage["completion_tokens"]
        about = {"id": "chatcmpl-1", "created": 1_800_000_000, "model": model}
        if body.get("stream"):
            return await _streamed(request, about, text, usage, body.get("stream_options") or {})
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return web.json_response({**about, "object": "chat.completion", "choices": [choice], "usage": usage})


async def _streamed(
    request: web.Request, about: Row, text: str, usage: Row, options: Row
) -> web.StreamResponse:
    about = {**about, "object": "chat.completion.chunk"}
    choices = [({"role": "assistant", "content": text}, None), ({}, "stop")]
    chunks: list[Row] = [
        {**about, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}
        for delta, reason in choices
    ]
    if options.get("include_usage"):
        chunks.append({**about, "choices": [], "usage": usage})
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    await response.write("".join([*lines, "data: [DONE]\n\n"]).encode())
    return response
