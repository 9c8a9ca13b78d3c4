"""What a request needs at the most, and the ledger's lines for it."""

from collections.abc import Sequence

import msgspec

from penstock.budget.asked import COMPLETIONS_DEFAULT_TOKENS, Asked
from penstock.budget.limits import METERED, Applied
from penstock.budget.window import Period, Window
from penstock.errors import Refusal
from penstock.models.policy import Model
from penstock.models.prompt import extra_output_bound, prompt_bound, prompt_count
from penstock.openai.request import Endpoint, Request
from penstock.openai.usage import Usage
from penstock.stores.ledger import PER, Line


class Need(msgspec.Struct, frozen=True):
    """A request's upper bounds; `output_tokens` are per answer. No `model`: no limit depends on it.

    `extra_tokens` are charged like an answer's, but no limit that is sent upstream holds them.
    """

    request: Request
    asked: Asked
    model: Model | None = None
    prompt_tokens: int = 0
    output_tokens: int = 0
    extra_tokens: int = 0

    @classmethod
    def of(cls, request: Request, model: Model | None, limits: Sequence[Applied], max_choices: int) -> "Need":
        """Read a request for a model. Raises Refusal (400) for what it can't ask, and without a price."""
        asked = Asked.of(request, max_choices)
        if not any(limit.unit in METERED for limit in limits):
            return cls(request, asked)
        if model is None:
            raise Refusal(
                400,
                "model_not_priced",
                "This gateway has no price for the model, so it can't be used within a budget.",
                param="model",
            )
        return cls(request, asked, model).of_model(model)

    @property
    def most_tokens(self) -> int:
        """The most that prompt and answers have together."""
        return self.prompt_tokens + self.extra_tokens + self.asked.choices * self.output_tokens

    @property
    def prompt_bytes(self) -> int:
        """How many bytes the request has, by which a running estimate knows its prompt."""
        return len(self.request.raw)

    def of_model(self, model: Model) -> "Need":
        """Give what the same request needs of a model."""
        return Need(
            self.request,
            self.asked,
            model,
            prompt_bound(self.request, model),
            _most_output(self.request, self.asked, model),
            extra_output_bound(self.request) * self.asked.choices,
        )

    def counted(self) -> "Need | None":
        """Give the same need with the prompt's tokens counted; None where that tells nothing better."""
        if self.model is None or (exact := prompt_count(self.request, self.model)) is None:
            return None
        return msgspec.structs.replace(self, prompt_tokens=exact) if exact < self.prompt_tokens else None

    def line(self, limit: Applied, period: Period, warn_at: float) -> Line:
        """Say what is needed of one limit."""
        fixed, rate = 1, 0
        if limit.unit == "tokens":
            fixed, rate = self.prompt_tokens + self.extra_tokens, self.asked.choices * PER
        elif limit.unit == "usd" and self.model is not None:
            prices = self.model.prices
            fixed = prices.input_bound_usd_micros(self.prompt_tokens)
            fixed += prices.output_bound_usd_micros(self.extra_tokens)
            rate = self.asked.choices * prices.output_rate
        return Line(
            limit.account(period),
            limit.amount,
            fixed,
            rate,
            limit.window is not Window.NONE,
            limit.warn_from(warn_at),
        )


class Cost(msgspec.Struct, frozen=True):
    """What calls cost together, by unit."""

    tokens: int = 0
    usd_micros: int = 0

    @classmethod
    def of(cls, usage: Usage, model: Model | None) -> "Cost":
        """Price one call's usage."""
        return cls(usage.input_tokens + usage.output_tokens, model.cost_usd_micros(usage) if model else 0)

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.tokens + other.tokens, self.usd_micros + other.usd_micros)

    def charge(self, limit: Applied) -> int:
        """Give what is charged to a limit."""
        charges = {"tokens": self.tokens, "usd": self.usd_micros, "requests": 1, "streams": 0}
        return charges[limit.unit]


def _most_output(request: Request, asked: Asked, model: Model) -> int:
    if request.endpoint is Endpoint.EMBEDDINGS:
        return 0
    wanted = asked.tokens
    if wanted is None and request.endpoint is Endpoint.COMPLETIONS:
        wanted = COMPLETIONS_DEFAULT_TOKENS
    return model.output_bound_tokens if wanted is None else min(wanted, model.output_bound_tokens)
