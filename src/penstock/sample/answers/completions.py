"""Legacy text completions: a prompt or a list of prompts, `n` answers to each."""

from collections.abc import Iterator
from typing import Any

from penstock.openai import sse
from penstock.openai.sse import Event
from penstock.sample.answers import logprobs
from penstock.sample.answers.chat import FINGERPRINT
from penstock.sample.answers.words import Heard, Json, Said, count, pieces, say, shortened


def answer(body: Json, number: int, created: int) -> Json:
    """Give the whole `text_completion` object."""
    said = list(_said(body))
    choices = [_choice(body, place, one.pieces, _finish(one)) for place, one in enumerate(said)]
    return {**_head(body, number, created), "choices": choices, "usage": _usage(body, said)}


def events(body: Json, number: int, created: int) -> list[Event]:
    """Give the same answer as chunks, and [DONE]."""
    head = _head(body, number, created)
    said = list(_said(body))
    asked = (body.get("stream_options") or {}).get("include_usage")
    if asked:
        head["usage"] = None
    chunks: list[Json] = []
    for place, one in enumerate(said):
        at = 0
        for word in one.pieces:
            chunks.append({**head, "choices": [_choice(body, place, [word], None, at)]})
            at += len(word)
        chunks.append({**head, "choices": [_choice(body, place, [], _finish(one), at)]})
    if asked:
        chunks.append({**head, "choices": [], "usage": _usage(body, said)})
    return [*map(sse.encode, chunks), sse.done()]


def prompts(told: Any) -> list[str]:  # noqa: ANN401 - whatever the client sent
    """Read a string, a list of strings, a token array or a list of those; a token becomes a word."""
    if isinstance(told, str):
        return [told]
    if isinstance(told, list) and told and all(isinstance(token, int) for token in told):
        return [" ".join(map(str, told))]
    if isinstance(told, list):
        return [text for one in told for text in prompts(one)]
    return []


def _said(body: Json) -> Iterator[Said]:
    for prompt in prompts(body["prompt"]):
        for choice in range(body.get("n") or 1):
            said = say(Heard(prompt, None, 0), choice=choice).pieces
            limited = shortened(said, body.get("max_tokens"))
            yield Said([*pieces(prompt), *limited.pieces], limited.cut) if body.get("echo") else limited


def _finish(said: Said) -> str:
    return "length" if said.cut else "stop"


def _head(body: Json, number: int, created: int) -> Json:
    return {
        "id": f"cmpl-{number:08d}",
        "object": "text_completion",
        "created": created,
        "model": body["model"],
        "system_fingerprint": FINGERPRINT,
    }


def _choice(body: Json, place: int, tokens: list[str], finish: str | None, at: int = 0) -> Json:
    top = body.get("logprobs")
    probs = logprobs.legacy(tokens, top, at) if isinstance(top, int) and tokens else None
    return {"text": "".join(tokens), "index": place, "logprobs": probs, "finish_reason": finish}


def _usage(body: Json, said: list[Said]) -> Json:
    ins = sum(map(count, prompts(body["prompt"])))
    out = sum(len(one.pieces) for one in said)
    return {
        "prompt_tokens": ins,
        "completion_tokens": out,
        "total_tokens": ins + out,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }
