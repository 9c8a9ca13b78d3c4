"""Counting: what a call used whose upstream did not tell, and learning from those that did."""

from penstock.budget.need import Need
from penstock.models.calibrate import TokensPerByte, count_answer
from penstock.openai.produced import Produced
from penstock.openai.usage import Usage


class Counting:
    """Counts with a model's tokenizer, or by what its earlier answers taught."""

    def __init__(self) -> None:
        self._rates = TokensPerByte()

    def produced(self, need: Need) -> Produced:
        """Give what an answer is noted in; its texts are kept only where they can be counted."""
        return Produced(collect=need.model is not None and need.model.tokenizer != "none")

    def count(self, need: Need, name: str, produced: Produced, granted_tokens: int) -> Usage:
        """Give what a call used, rather too much, but no more than was reserved.

        `granted_tokens` is how long each answer could become.
        """
        if need.model is None:
            return Usage()
        counted = need.counted()
        prompt = counted.prompt_tokens if counted else self._rates.prompt_tokens(name, need.prompt_bytes)
        output = count_answer(produced, need.model, name, self._rates)
        most = need.asked.choices * granted_tokens + need.extra_tokens
        return Usage(min(prompt, need.prompt_tokens), min(output, most))

    def learn(self, need: Need, name: str, usage: Usage, produced: Produced) -> None:
        """Learn from a call whose usage was told."""
        self._rates.observe(name, usage, prompt_bytes=need.prompt_bytes, produced_bytes=produced.bytes)
