"""policies/feedback.yaml: for how long answers may be rated, and what counts as a sign of how they were."""

from typing import Annotated, Final, Literal

from pydantic import Field

from penstock.policy.base import OnFailure, Policy, StagePolicy

PATH: Final = "/dac/feedback"
"""Where clients say how an answer was, below the base path."""

Weight = Annotated[float, Field(ge=0, le=1)]
Sign = Literal["went_on", "re_ask", "edited", "regenerated", "abandoned", "escalated", "fallback"]


class Signs(Policy):
    """How much each sign says of an answer, from 0 (it is not looked for) to 1 (as much as a rating)."""

    went_on: Weight = Field(
        default=0.2,
        description="The thread goes on with something else: the one sign that an answer was good.",
    )
    re_ask: Weight = Field(
        default=0.4, description="The thread goes on with a question much like the one before."
    )
    edited: Weight = Field(
        default=0.4, description="The same history comes again with another last message of the user."
    )
    regenerated: Weight = Field(
        default=0.6, description="The very same request comes again and is not answered from the cache."
    )
    abandoned: Weight = Field(default=0.2, description="The client left in the middle of the stream.")
    escalated: Weight = Field(
        default=0.3, description="The small model's answer did not pass, and a larger one was asked."
    )
    fallback: Weight = Field(default=0.1, description="A call gave no answer, and another had to be made.")


class FeedbackPolicy(StagePolicy):
    """What is remembered of a decision, so that it can be learned from. Never what was said."""

    file = "feedback"

    on_failure: OnFailure = Field(
        default="skip",
        description="What happens when this stage breaks: `skip` goes on without it, `reject` with 503. "
        "Feedback itself is never passed on to an upstream.",
    )
    remember: Literal["learned", "all"] = Field(
        default="learned",
        description="`learned`: only answers from which a route or an experiment can learn may be rated, so "
        "that other requests cost nothing; `all`: every answer.",
    )
    remember_s: Annotated[float, Field(gt=0, le=30 * 86_400)] = Field(
        default=86_400.0, description="For how long an answer can be rated."
    )
    limit_bytes: Annotated[int, Field(gt=0)] = Field(
        default=16 * 1024 * 1024,
        description="What one tenant's decisions may take in the store; the oldest make room.",
    )
    signs: Signs = Field(default=Signs(), description="Signs of how an answer was, each with its weight.")
    within_s: Annotated[float, Field(gt=0, le=3600)] = Field(
        default=300.0, description="A request so long after the one before says nothing about it."
    )
    similar: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.6, description="The share of words and pairs of words that makes two questions alike."
    )
    threads: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=10_000, description="How many threads a process watches, the latest ones; hashes only."
    )
