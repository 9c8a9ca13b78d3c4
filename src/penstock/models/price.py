"""What tokens cost, in whole micro-dollars: exact in between, rounded up once at the end."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from penstock.openai.usage import Usage

MILLION: Final = 1_000_000


def usd_micros(usd: float) -> int:
    """Give a price of the policy in micro-dollars. Raises ValueError for more than six decimals."""
    micros = Decimal(repr(usd)).scaleb(6)  # what stands in the file, not what the float makes of it
    if micros != micros.to_integral_value():
        raise ValueError("a price has at most 6 decimals: whole micro-dollars per million tokens")
    return int(micros)


@dataclass(frozen=True, slots=True)
class Prices:
    """Micro-dollars per million tokens, which are also millionths of a micro-dollar per token."""

    input: int
    cached_input: int
    output: int
    reasoning: int

    @property
    def input_rate(self) -> int:
        """The most that a million prompt tokens cost, cached or not."""
        return max(self.input, self.cached_input)

    @property
    def output_rate(self) -> int:
        """The most that a million tokens of an answer cost, thought or said."""
        return max(self.output, self.reasoning)

    def cost_usd_micros(self, usage: Usage) -> int:
        """Give what an answer cost.

        Cached tokens are part of the input and reasoning is part of the output. Some servers count
        them beside it instead; where a part is larger than its whole, both are charged.
        """
        plain_input = _rest(usage.input_tokens, usage.cached_input_tokens)
        plain_output = _rest(usage.output_tokens, usage.reasoning_tokens)
        return _rounded_up(
            plain_input * self.input
            + usage.cached_input_tokens * self.cached_input
            + plain_output * self.output
            + usage.reasoning_tokens * self.reasoning
        )

    def input_bound_usd_micros(self, prompt_tokens: int) -> int:
        """Give the most that a prompt can cost."""
        return _rounded_up(prompt_tokens * self.input_rate)

    def output_bound_usd_micros(self, output_tokens: int) -> int:
        """Give the most that an answer of this length can cost."""
        return _rounded_up(output_tokens * self.output_rate)


def _rest(whole: int, part: int) -> int:
    return whole - part if part <= whole else whole


def _rounded_up(millionths: int) -> int:
    return -(-millionths // MILLION)
