"""policies/budget.yaml: what happens near a limit and at it. The limits themselves stand in tenants.yaml."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from yarl import URL

from penstock.policy.base import Policy, SecretReference, StagePolicy

Share = Annotated[float, Field(gt=0, le=1)]


def _url(text: str) -> str:
    url = URL(text)
    if url.scheme not in ("http", "https") or not url.host or url.user or url.password:
        raise ValueError("a webhook's url is http://HOST[:PORT]/PATH or https://…, without a password")
    return text


class Webhook(Policy):
    """Who is told when a budget nears its end."""

    url: Annotated[str, AfterValidator(_url)] = Field(description="Gets a POST with a JSON body.")
    secret: SecretReference | None = Field(
        default=None,
        description="Signs the body: `x-dac-signature: sha256=…` is its HMAC-SHA256 with this secret.",
    )


class Leases(Policy):
    """Slices of a budget that a process takes and spends without a round trip to the store."""

    enabled: bool = Field(default=False, description="Whether slices are taken.")
    share: Annotated[float, Field(gt=0, le=0.25)] = Field(
        default=0.02, description="The part of what is left that one slice takes."
    )
    idle_s: Annotated[float, Field(gt=0, le=60)] = Field(
        default=1.0, description="A slice that nobody spends from for so long goes back."
    )


class BudgetPolicy(StagePolicy):
    """How limits are held: when a tenant is warned, how a request is stopped, what is held for how long."""

    file = "budget"

    warn_at: Share = Field(
        default=0.8, description="From this share of a limit on, answers and the webhook warn."
    )
    hard_stop: Literal[429, 403] = Field(
        default=429,
        description="The status at 100 %. SDKs are told not to try a 429 again; one that does not listen "
        "(Vercel's) needs 403.",
    )
    least_output_tokens: Annotated[int, Field(ge=1)] = Field(
        default=16, description="With fewer output tokens left a request is stopped rather than cut short."
    )
    max_choices: Annotated[int, Field(ge=1)] = Field(
        default=128, description="The most answers (`n`, `best_of`) that one request may ask for."
    )
    reservation_s: Annotated[float, Field(ge=5, le=3600)] = Field(
        default=60.0,
        description="How long a reservation outlives its process; it is renewed while the call lasts. "
        "What a crash leaves behind is charged then.",
    )
    unmetered_paths: tuple[str, ...] = Field(
        default=("/moderations", "/files", "/uploads"),
        description="Paths that cost no tokens although they take uploads. What the gateway can't meter and "
        "is not listed here is refused to a tenant with a limit on tokens or money.",
    )
    unmetered_tools: bool = Field(
        default=False,
        description="Whether tools that the provider runs (web search, code) may be used within a limit on "
        "tokens or money. How much they read is known only afterwards, so they may overrun it.",
    )
    shared_calls: Literal["leader", "split"] = Field(
        default="leader",
        description="Who pays for a call that several requests shared: the first, or all in equal parts.",
    )
    store_gone: Literal["refuse", "allow_within_lease"] = Field(
        default="refuse", description="What happens while the store can't be reached."
    )
    leases: Leases = Field(default=Leases(), description="Spending without a round trip.")
    webhook: Webhook | None = Field(default=None, description="Who is told, once per limit and window.")
