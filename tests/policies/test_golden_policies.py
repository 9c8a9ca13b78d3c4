"""Golden files: each folder holds policies, and what the loader makes or says of them, to the letter.

After a change that is meant, run with UPDATE_GOLDEN=1 and read the difference.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import pytest
from pydantic import Field, model_validator

from penstock.errors import StartError
from penstock.policy.base import Finding, Policy, PolicySet, SecretReference, StagePolicy
from penstock.policy.cases import read_cases
from penstock.policy.load import load
from penstock.policy.problems import closest

HERE = Path(__file__).parent


class Region(StrEnum):
    EUROPE = "europe"
    AMERICA = "america"


class Exact(Policy):
    match: Literal["exact"]
    keys_kept: int = Field(default=10, ge=1)


class Near(Policy):
    match: Literal["near"]
    threshold_ratio: float = Field(default=0.9, ge=0, le=1)


class Cache(StagePolicy):
    """What may be answered from the cache."""

    file: ClassVar[str] = "cache"

    ttl_s: float = Field(default=60, gt=0)
    limit_bytes: int = Field(default=1024, ge=1)
    stream: bool = True
    salt: str = Field(default="", max_length=8)
    skip_models: tuple[str, ...] = ()
    lookup: Annotated[Exact | Near, Field(discriminator="match")] = Exact(match="exact")
    size: Literal["small", "large"] | int = "small"
    window: tuple[int, int] = (0, 24)


class Tenant(Policy):
    budget_usd_micros: int = Field(ge=0)
    warn_at: float = Field(default=0.8, gt=0, le=1)
    key: SecretReference | None = None
    upstream: str | None = None
    upstream_auth: SecretReference | None = None
    region: Region = Region.EUROPE

    @model_validator(mode="after")
    def _warns_below_the_end(self) -> "Tenant":
        if self.budget_usd_micros == 0 and self.warn_at < 1:
            raise ValueError("a budget of 0 has nothing to warn about")
        return self


class Tenants(Policy):
    """Who pays."""

    file: ClassVar[str] = "tenants"

    tenants: Mapping[Annotated[str, Field(pattern="^[a-z][a-z0-9-]*$")], Tenant] = {}
    codes: Mapping[int, str] = {}
    fallback: str | Tenant = "none"

    def check(self, policies: PolicySet) -> Iterator[Finding]:
        known = [upstream.name for upstream in policies[Upstreams].upstreams]
        for name, tenant in self.tenants.items():
            if tenant.upstream is not None and tenant.upstream not in known:
                yield Finding(
                    ("tenants", name, "upstream"),
                    f"no upstream is called '{tenant.upstream}'",
                    closest(tenant.upstream, known),
                    (Upstreams, ("upstreams",)),
                )


class Upstream(Policy):
    name: str = Field(min_length=1)
    url: str = Field(pattern="^https?://")
    api_key: SecretReference | None = None


class Upstreams(Policy):
    """Where requests go."""

    file: ClassVar[str] = "upstreams"

    upstreams: tuple[Upstream, ...] = Field(min_length=1)

    def check(self, policies: PolicySet) -> Iterable[Finding]:
        names = [upstream.name for upstream in self.upstreams]
        for number, name in enumerate(names):
            if name in names[:number]:
                yield Finding(("upstreams", number, "name"), f"'{name}' is there twice")


KINDS = (Cache, Tenants, Upstreams)


def folders(kind: str) -> list[Path]:
    return sorted(path for path in (HERE / kind).iterdir() if path.is_dir())


def outcome(folder: Path) -> str:
    """Give what is said of a folder of policies, with paths as if one stood in `policies`' parent."""
    try:
        policies = load(folder, KINDS)
        read_cases(folder)
    except StartError as problem:
        return str(problem).replace(f"{folder}/", "policies/") + "\n"
    shown = {kind.file: policies[kind].model_dump(mode="json") for kind in KINDS}
    return json.dumps(shown, indent=2) + "\n"


def expected(file: Path, now: str) -> str:
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(now, encoding="utf-8")
    return file.read_text(encoding="utf-8")


@pytest.mark.parametrize("folder", folders("bad"), ids=lambda folder: folder.name)
def test_a_bad_folder_is_refused_with_exactly_this_text(folder: Path) -> None:
    now = outcome(folder)

    assert not now.startswith("{"), "the folder was taken"
    assert now == expected(folder / "expected.txt", now)


@pytest.mark.parametrize("folder", folders("good"), ids=lambda folder: folder.name)
def test_a_good_folder_gives_exactly_these_values(folder: Path) -> None:
    now = outcome(folder)

    assert now.startswith("{"), now
    assert now == expected(folder / "expected.txt", now)


@pytest.mark.parametrize("folder", folders("bad"), ids=lambda folder: folder.name)
def test_no_golden_text_shows_what_the_policies_must_hide(folder: Path) -> None:
    """In the golden policies every secret has the word `hush` in it."""
    assert "hush" not in outcome(folder)


def test_there_are_enough_bad_examples() -> None:
    assert len(folders("bad")) >= 40
