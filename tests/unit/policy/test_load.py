import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from penstock.errors import StartError
from penstock.policy.base import Finding, Policy, PolicySet
from penstock.policy.load import digest_of, load, policy_files
from penstock.policy.problems import PolicyProblems, closest


class Colour(Enum):
    RED = "red"


class Models(Policy):
    file: ClassVar[str] = "models"

    names: tuple[str, ...] = ()


class Routes(Policy):
    file: ClassVar[str] = "routes"

    routes: Mapping[str, str] = {}
    fallback: str | None = None

    def check(self, policies: PolicySet) -> Iterator[Finding]:
        known = policies[Models].names
        for alias, model in self.routes.items():
            if model not in known:
                yield Finding(
                    ("routes", alias), f"no model '{model}'", closest(model, known), (Models, ("names",))
                )
        if self.fallback is not None and self.fallback not in known:
            yield Finding(("fallback",), f"no model '{self.fallback}'")


class Needed(Policy):
    file: ClassVar[str] = "needed"

    key: str


class Sets(Policy):
    file: ClassVar[str] = "sets"

    words: frozenset[str] = frozenset()
    colour: Colour = Colour.RED
    where: Path = Path("/x")


KINDS = (Models, Routes)


def refused(directory: Path, *kinds: type[Policy]) -> list[str]:
    with pytest.raises(PolicyProblems) as problems:
        load(directory, kinds or KINDS)
    return str(problems.value).replace(f"{directory}/", "").split("\n")


def test_each_kind_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text("names: [a, b]\n")
    (tmp_path / "routes.yaml").write_text("routes: {fast: a}\n")
    policies = load(tmp_path, KINDS)

    assert policies[Models].names == ("a", "b")
    assert policies[Routes].routes == {"fast": "a"}


def test_a_missing_file_gives_the_defaults_where_there_are_any(tmp_path: Path) -> None:
    assert load(tmp_path, KINDS)[Models] == Models()
    assert refused(tmp_path, Needed) == ["needed.yaml: the file is missing, and it must set 'key'"]


def test_a_kind_that_two_stages_bring_along_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text("nams: 1\n")

    assert len(refused(tmp_path, Models, Models)) == 4


def test_without_a_folder_nothing_starts(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="can't be read: No such file or directory"):
        load(tmp_path / "gone", KINDS)
    (tmp_path / "file").write_text("")
    with pytest.raises(StartError, match="Not a directory"):
        load(tmp_path / "file", KINDS)


def test_files_that_nobody_reads_are_refused(tmp_path: Path) -> None:
    for name in ("model.yaml", "routes.yml", "other.yaml", "cache_test.yaml", ".hidden.yaml", "README.md"):
        (tmp_path / name).write_text("")

    assert refused(tmp_path) == [
        "model.yaml: no stage reads this file",
        "       = did you mean 'models.yaml'?",
        "other.yaml: no stage reads this file",
        "routes.yml: no stage reads this file",
        "       = did you mean 'routes.yaml'?",
    ]


def test_problems_of_all_files_come_at_once_in_the_order_of_files_and_lines(tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text("b: 1\na: 1\n")
    (tmp_path / "models.yaml").write_text("names: yes\n")
    (tmp_path / "aaa.yaml").write_text("")

    heads = [line.split(" ")[0] for line in refused(tmp_path) if not line.startswith(" ")]
    assert heads == ["aaa.yaml:", "models.yaml:1:8:", "routes.yaml:1:1:", "routes.yaml:2:1:"]


def test_names_across_files_are_checked_and_both_places_shown(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text("# all of them\nnames: [large]\n")
    (tmp_path / "routes.yaml").write_text("routes:\n  big: larg\n")

    assert refused(tmp_path) == [
        "routes.yaml:2:8: routes.big: no model 'larg'",
        "     2 |   big: larg",
        "       |        ^^^^",
        "       = did you mean 'large'?",
        "       = see models.yaml:2:8",
        "     2 | names: [large]",
        "       |        ^^^^^^^",
    ]


def test_the_other_place_may_be_a_file_that_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text("routes: {big: large}\n")

    assert "       = see models.yaml" in refused(tmp_path)


def test_a_check_that_needs_a_broken_file_waits_for_it(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text("names: 5\n")
    (tmp_path / "routes.yaml").write_text("routes: {big: large}\n")

    assert [line for line in refused(tmp_path) if line.startswith("routes")] == []


def test_a_check_that_asks_for_a_kind_nobody_brings_is_a_mistake_of_the_stage(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        load(tmp_path, [Routes])


def test_overrides_lie_over_their_files(tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text("routes: {big: a}\n")
    policies = load(tmp_path, KINDS, {"models": {"names": ["a", "b"]}, "routes": {"fallback": "b"}})

    assert policies[Models].names == ("a", "b")
    assert policies[Routes] == Routes(routes={"big": "a"}, fallback="b")


def test_the_digest_is_the_same_for_the_same_policies_however_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text("names: [a, b]\n")
    (tmp_path / "routes.yaml").write_text("routes: {x: a, y: b}\n")
    first = load(tmp_path, KINDS).digest
    (tmp_path / "models.yaml").write_text("# the same\nnames:\n- a\n- 'b'\n")
    (tmp_path / "routes.yaml").write_text("routes: {y: b, x: a}\n")

    assert load(tmp_path, reversed_kinds()).digest == first
    (tmp_path / "models.yaml").write_text("names: [b, a]\n")
    assert load(tmp_path, KINDS).digest != first
    assert len(first) == 32
    assert int(first, 16) >= 0


def reversed_kinds() -> list[type[Policy]]:
    return [Routes, Models]


DIGEST = """\
from penstock.policy.base import Policy
from penstock.policy.load import digest_of

class Sets(Policy):
    words: frozenset[str]

print(digest_of([Sets(words=frozenset(str(n) for n in range(50)))]))
"""


def test_the_digest_is_the_same_in_every_process() -> None:
    """Sets have another order in every process, so each run gets its own seed."""
    runs = [
        subprocess.run(
            [sys.executable, "-c", DIGEST],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        for seed in ("1", "2")
    ]

    assert runs[0].stdout == runs[1].stdout


def test_everything_a_policy_may_hold_goes_into_the_digest() -> None:
    digests = {
        digest_of([sets])
        for sets in (Sets(), Sets(words=frozenset("a")), Sets(words=frozenset("ab")), Sets(where=Path("/y")))
    }

    assert len(digests) == 4


def test_policy_files_come_in_order_without_hidden_ones(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", ".c.yaml", "..data", "d.yaml~", "e.txt"):
        (tmp_path / name).write_text("")

    assert [path.name for path in policy_files(tmp_path)] == ["a.yml", "b.yaml"]


class Anything(Policy):
    file: ClassVar[str] = "anything"

    count: int = Field(default=1, ge=0)
    names: tuple[str, ...] = ()
    table: Mapping[str, Mapping[str, float]] = {}


@settings(deadline=None)
@given(
    st.text()
    | st.lists(
        st.sampled_from(
            ["count: ", "names: ", "table:\n  ", "[a, ", "]", "{", "}", "\n", "- ", "x: 1", "&a ", "!t "]
        )
    ).map("".join)
)
def test_no_text_makes_the_loader_raise_anything_but_problems(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    folder = tmp_path_factory.getbasetemp() / "any"
    folder.mkdir(exist_ok=True)
    (folder / "anything.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    with suppress(PolicyProblems):
        assert load(folder, [Anything])[Anything].count >= 0
