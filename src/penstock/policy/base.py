"""What every policy is: a frozen model that refuses what it doesn't know."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

OnFailure = Literal["reject", "skip"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a policy finds wrong with itself among the others; `loc` is the path of keys to the place.

    `other` names the second place where two files disagree.
    """

    loc: tuple[str | int, ...]
    message: str
    suggestion: str | None = None
    other: tuple[type["Policy"], tuple[str | int, ...]] | None = None


class Policy(BaseModel):
    """One YAML file, or a part of one. Unknown keys are refused; values are never coerced."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    file: ClassVar[str] = ""
    """The file's name without `.yaml`; empty for a part of a policy."""

    def check(self, policies: "PolicySet") -> Iterable[Finding]:
        """Find what the schema can't: names that another file should know. All files are read by then."""
        return ()


class StagePolicy(Policy):
    """What every stage's policy has."""

    on_failure: OnFailure = Field(
        default="reject",
        description="What happens when this stage breaks: `reject` the request (503) or `skip` the stage.",
    )


def _secret_reference(text: str) -> str:
    if not text.startswith(("env:", "file:")) or not text.partition(":")[2]:
        raise ValueError("a secret is written as env:NAME or file:PATH, never in the clear")
    return text


SecretReference = Annotated[
    str,
    AfterValidator(_secret_reference),
    # The format keeps a secret written here by mistake out of error messages; editors use the pattern.
    WithJsonSchema({"type": "string", "format": "secret-reference", "pattern": "^(env|file):.+"}),
]
"""Where a secret stands: `env:NAME` or `file:PATH`."""


class PolicySet:
    """All policies of one moment. Immutable: an exchange keeps the set it started with."""

    def __init__(self, policies: Mapping[type[Policy], Policy], digest: str) -> None:
        self._policies = {kind.file: policy for kind, policy in policies.items()}
        self.digest = digest

    def __getitem__[P: Policy](self, kind: type[P]) -> P:
        """Give the policy of this kind. Raises KeyError where no stage brought the kind along."""
        policy = self._policies[kind.file]
        if not isinstance(policy, kind):
            raise KeyError(kind.__name__)
        return policy

    @property
    def by_file(self) -> Mapping[str, Policy]:
        """Give all of them by their files' names without `.yaml`."""
        return self._policies

    def replacing(self, policy: Policy) -> "PolicySet":
        """Give the same set with this policy in the place of the one from the same file."""
        changed = PolicySet({}, self.digest)
        changed._policies = {**self._policies, policy.file: policy}
        return changed
