"""policies/models.yaml: what models cost, and how much they read and say."""

import re
from functools import cached_property
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from penstock.models.price import Prices, usd_micros
from penstock.openai.request import Endpoint
from penstock.openai.usage import Usage
from penstock.policy.base import Policy

ANY: Final = "*"
_DATED: Final = re.compile(r"-\d{4}-\d{2}-\d{2}\Z", re.ASCII)


def _six_decimals(usd: float) -> float:
    usd_micros(usd)
    return usd


Price = Annotated[float, Field(ge=0, le=1_000_000), AfterValidator(_six_decimals)]
Tokens = Annotated[int, Field(gt=0, le=1_000_000_000)]
Ability = Literal["tools", "vision", "json_schema"]
TokenizerName = Literal["o200k_base", "cl100k_base", "none"]


class Model(Policy):
    """One model, or a family of dated ones."""

    input_usd_per_million: Price = Field(description="Dollars for a million prompt tokens.")
    cached_input_usd_per_million: Price | None = Field(
        default=None,
        description="Dollars for a million prompt tokens from the provider's cache; the input's price "
        "if left out.",
    )
    output_usd_per_million: Price = Field(description="Dollars for a million tokens of the answer.")
    reasoning_usd_per_million: Price | None = Field(
        default=None,
        description="Dollars for a million tokens of reasoning; the output's price if left out.",
    )
    context_tokens: Tokens = Field(
        description="The most that prompt and answer have together. No prompt is reckoned larger than this."
    )
    max_output_tokens: Tokens | None = Field(
        default=None, description="The most that one answer has; `context_tokens` if left out."
    )
    limit_field: Literal["max_tokens", "max_completion_tokens"] = Field(
        default="max_tokens",
        description="Which field of a chat request limits the answer where the client sent none. "
        "Reasoning models refuse `max_tokens`, older servers don't know the other.",
    )
    tokenizer: TokenizerName = Field(
        default="none",
        description="How answers without usage and prompts with too many bytes are counted. "
        "With `none`, by a running estimate of tokens per byte.",
    )
    image_tokens: Tokens = Field(
        default=50_000, description="The most that one image of a prompt counts, whatever its size."
    )

    abilities: tuple[Ability, ...] = Field(
        default=("tools", "vision", "json_schema"),
        description="What it can do; a route leaves it out for requests that need more.",
    )

    @model_validator(mode="after")
    def _answer_fits(self) -> Self:
        if self.output_bound_tokens > self.context_tokens:
            raise ValueError("max_output_tokens is larger than context_tokens")
        return self

    @cached_property
    def prices(self) -> Prices:
        """The prices as whole numbers."""
        price_in, cached = self.input_usd_per_million, self.cached_input_usd_per_million
        price_out, reasoning = self.output_usd_per_million, self.reasoning_usd_per_million
        return Prices(
            usd_micros(price_in),
            usd_micros(price_in if cached is None else cached),
            usd_micros(price_out),
            usd_micros(price_out if reasoning is None else reasoning),
        )

    @property
    def output_rate(self) -> int:
        """The most that a million tokens of an answer cost, in micro-dollars."""
        return self.prices.output_rate

    @property
    def output_bound_tokens(self) -> int:
        """The most that one answer has."""
        return self.max_output_tokens or self.context_tokens

    def cost_usd_micros(self, usage: Usage) -> int:
        """Give what an answer cost, rounded up once."""
        return self.prices.cost_usd_micros(usage)

    def input_bound_usd_micros(self, prompt_tokens: int) -> int:
        """Give the most that a prompt of this length can cost."""
        return self.prices.input_bound_usd_micros(prompt_tokens)

    def limit_field_at(self, endpoint: Endpoint) -> str | None:
        """Name the field that limits an answer at this endpoint; None where answers have no tokens."""
        match endpoint:
            case Endpoint.CHAT:
                return self.limit_field
            case Endpoint.RESPONSES:
                return "max_output_tokens"
            case Endpoint.COMPLETIONS:
                return "max_tokens"
            case _:
                return None


class ModelsPolicy(Policy):
    """The models by the names that clients use."""

    file = "models"

    models: dict[Annotated[str, Field(min_length=1, max_length=200)], Model] = Field(
        default={},
        description="Models by the names that clients use. A dated name (`NAME-2024-07-18`) that is not "
        "listed goes by NAME; `*` stands for every other name. Without it unknown models are refused.",
    )

    def listed_name(self, name: str | None) -> str | None:
        """Give the name under which a model is listed: its own, its family's or `*`; None if unknown."""
        if name is not None and name in self.models:
            return name
        if name is not None and (dated := _DATED.search(name)) and name[: dated.start()] in self.models:
            return name[: dated.start()]
        return ANY if ANY in self.models else None

    def find(self, name: str | None) -> Model | None:
        """Give the model that a client named; None where nothing is known about it."""
        listed = self.listed_name(name)
        return None if listed is None else self.models[listed]
