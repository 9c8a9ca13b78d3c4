"""Tokens told from bytes, by what earlier answers of the same model taught."""

from collections import OrderedDict
from dataclasses import dataclass, field
from math import ceil
from typing import Final

from penstock.models.policy import Model
from penstock.models.tokenizer import count_tokens
from penstock.openai.produced import Produced
from penstock.openai.usage import Usage

LOWEST: Final = 1 / 8
HIGHEST: Final = 3 / 2
"""Tokens per byte. A text has at most one; the rest is what a template or a tool call adds."""

# Before anything is known: English has a quarter, and other scripts up to a half.
_PRIOR: Final = 1 / 3
_PRIOR_BYTES: Final = 2_048
# One answer teaches no more than this, and what was learned this many bytes ago counts half.
_ANSWER_BYTES: Final = 8_192
_MEMORY_BYTES: Final = 262_144
_MARGIN: Final = 1.1  # texts differ; better a little too many
# Around each text that an answer has: a channel, the end, what makes a text a call.
_TEXT_MARKS: Final = 4


@dataclass(slots=True)
class _Rate:
    """A mean of tokens per byte, by bytes, that forgets slowly."""

    tokens: float = _PRIOR * _PRIOR_BYTES
    bytes: float = _PRIOR_BYTES

    def learn(self, tokens: int, seen_bytes: int) -> None:
        if seen_bytes <= 0 or tokens <= 0 or tokens > seen_bytes * HIGHEST:
            return  # an empty answer; or tokens that were not seen, such as hidden reasoning or a picture
        weight = min(seen_bytes, _ANSWER_BYTES)
        self.tokens += max(tokens / seen_bytes, LOWEST) * weight
        self.bytes += weight
        if self.bytes > _MEMORY_BYTES:
            self.tokens /= 2
            self.bytes /= 2

    def reckon(self, seen_bytes: int) -> int:
        rate = min(max(self.tokens / self.bytes * _MARGIN, LOWEST), HIGHEST)
        return ceil(max(0, seen_bytes) * rate)


@dataclass(slots=True)
class _Learned:
    prompt: _Rate = field(default_factory=_Rate)
    output: _Rate = field(default_factory=_Rate)


class TokensPerByte:
    """A running estimate for each model, for the latest `models` of them.

    Models go by their name at the upstream, since names that a policy lists together (`*`) may have
    tokenizers of their own. What `prompt_bytes` are is up to the caller, if it is always the same.
    """

    def __init__(self, models: int = 1_000) -> None:
        self._most = models
        self._learned: OrderedDict[str, _Learned] = OrderedDict()

    def observe(self, model: str, usage: Usage, *, prompt_bytes: int = 0, produced_bytes: int = 0) -> None:
        """Learn from an answer whose usage is known; 0 bytes teach nothing."""
        learned = self._learned.setdefault(model, _Learned())
        self._learned.move_to_end(model)
        if len(self._learned) > self._most:
            self._learned.popitem(last=False)
        learned.prompt.learn(usage.input_tokens, prompt_bytes)
        learned.output.learn(usage.output_tokens, produced_bytes)

    def prompt_tokens(self, model: str, prompt_bytes: int) -> int:
        """Give about how many tokens a prompt has, rather too many."""
        return self._of(model).prompt.reckon(prompt_bytes)

    def output_tokens(self, model: str, produced_bytes: int) -> int:
        """Give about how many tokens an answer has, rather too many."""
        return self._of(model).output.reckon(produced_bytes)

    def _of(self, model: str) -> _Learned:
        return self._learned.get(model) or _Learned()


def count_answer(produced: Produced, model: Model, name: str, rates: TokensPerByte) -> int:
    """Give how many tokens an answer without usage has: by the tokenizer, where its texts were collected.

    `name` is the model's name at the upstream, by which `rates` knows it.
    """
    texts = produced.texts
    counted = count_tokens(texts, model.tokenizer) if texts else None
    if counted is None:
        return rates.output_tokens(name, produced.bytes)
    return counted + _TEXT_MARKS * len(texts)
