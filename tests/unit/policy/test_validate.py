import json
from collections.abc import Mapping
from typing import Annotated, Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, model_validator

from penstock.policy.base import Policy, SecretReference
from penstock.policy.document import Document
from penstock.policy.problems import Problem
from penstock.policy.validate import read_model
from penstock.policy.yaml_compose import compose


class Part(Policy):
    size: int = Field(default=1, ge=1)
    login: SecretReference | None = None


class Model(Policy):
    ttl_s: float = Field(default=1, gt=0)
    word: Literal["hit", "miss"] = "hit"
    names: tuple[str, ...] = Field(default=(), min_length=1)
    tags: frozenset[str] = Field(default=frozenset("ab"), min_length=2)
    part: Part = Part()
    either: str | Part | tuple[int, ...] = "x"
    parts: Mapping[Annotated[str, Field(pattern="^[a-z]+$")], Part] = {}

    @model_validator(mode="after")
    def _agrees(self) -> "Model":
        if self.word == "miss" and self.ttl_s > 100:
            raise ValueError("a miss can't live that long")
        return self


def document(text: str) -> Document:
    page = Document("p.yaml", text)
    compose(page)
    return page


def read[M: BaseModel](kind: type[M], text: str) -> M:
    page = document(text)
    model = read_model(kind, page)
    assert model is not None, [str(each) for each in page.problems()]
    return model


def problems(text: str, overrides: Mapping[str, object] | None = None) -> list[Problem]:
    page = document(text)
    assert read_model(Model, page, overrides) is None
    return page.problems()


def told(text: str) -> list[str]:
    return [f"{each.line}:{each.column} {each.where}: {each.message}" for each in problems(text)]


def test_lists_become_tuples_and_frozen_sets_and_whole_numbers_floats() -> None:
    model = read(Model, "ttl_s: 5\nnames: [a, b]\ntags: [v, w, v]\neither: [1, 2]\n")

    assert model.names == ("a", "b")
    assert model.tags == {"v", "w"}
    assert isinstance(model.tags, frozenset)
    assert model.either == (1, 2)
    assert type(model.ttl_s) is float


@pytest.mark.parametrize(
    "text", ["names: 5", "ttl_s: true", "ttl_s: '5'", "names: [1]", "part: []", "word: null"]
)
def test_nothing_is_coerced(text: str) -> None:
    assert len(problems(text)) == 1


def test_every_problem_is_told_in_one_go() -> None:
    assert told("ttl_s: 0\nword: mis\nnams: [a]\npart:\n  size: 0\n") == [
        "1:8 ttl_s: expected a number of seconds above 0, got 0",
        "2:7 word: expected 'hit' or 'miss', got 'mis'",
        "5:9 part.size: expected a whole number of at least 1, got 0",
        "3:1 : unknown key 'nams'",
    ]


def test_a_key_that_is_already_there_is_not_suggested() -> None:
    (problem,) = problems("names: [a]\nnams: [b]\n")

    assert problem.suggestion is None


def test_of_a_union_only_the_arm_that_got_furthest_speaks() -> None:
    assert told("either: {size: 0}") == ["1:16 either.size: expected a whole number of at least 1, got 0"]
    assert told("either: 5") == ["1:9 either: expected text or a mapping or a list, got 5"]


def test_a_list_is_not_called_too_short_because_of_its_items() -> None:
    assert told("names: [5]") == ["1:9 names[0]: expected text, got 5"]
    assert told("names: []") == ["1:8 names: expected a list of at least 1 item, got an empty list"]


def test_a_set_whose_items_are_the_same_is_too_short() -> None:
    """Nothing else is wrong with it, so this must not be taken for a mere follower."""
    assert len(told("tags: [x, x]")) == 1


def test_a_models_own_objection_is_told_at_its_mapping() -> None:
    assert told("word: miss\nttl_s: 200\n") == ["1:1 : a miss can't live that long"]


def test_keys_that_do_not_fit_are_told_at_the_key() -> None:
    assert told("parts:\n  A1: {}\n") == ["2:3 parts: key 'A1': must match ^[a-z]+$"]


def test_a_value_that_was_refused_before_is_told_once() -> None:
    assert told("ttl_s: 1e3") == ["1:8 ttl_s: a number with an exponent is text to some YAML readers"]
    assert len(told("yes: 1")) == 1


@pytest.mark.parametrize(
    "text",
    [
        "part: {login: hush}",
        "part: {login: 'hush'}",
        "part: {logn: hush}",
        "part: {login: [hush, {a: hush}]}",
        "part: {login: hush, size: x}",
        "part: {api_key: hush}",
        "names: {password: hush}",
        "either: {login: hush}",
        "part:\n  login: |\n    hush\n  size: x\n",
    ],
)
def test_secrets_are_never_shown(text: str) -> None:
    said = "\n".join(str(each) for each in problems(text))

    assert said
    assert "hush" not in said


def test_overrides_lie_over_the_file_and_keep_what_they_do_not_name() -> None:
    model = read_model(
        Model, document("ttl_s: 5\npart: {size: 3}\n"), {"word": "miss", "part": {"login": "env:A"}}
    )

    assert model is not None
    assert (model.ttl_s, model.word, model.part) == (5, "miss", Part(size=3, login="env:A"))


def test_a_wrong_override_is_told_without_a_line_of_the_file() -> None:
    (problem,) = problems("ttl_s: 5\n", {"part": {"size": 0}})

    assert problem.line == 0
    assert problem.message.endswith("(set by an override)")


def test_a_secret_in_an_override_is_not_shown() -> None:
    (problem,) = problems("ttl_s: 5\n", {"part": {"login": "hush", "size": 2}})

    assert "hush" not in str(problem)
    assert problem.where == "part.login"


def test_an_unknown_override_gets_a_suggestion() -> None:
    (problem,) = problems("", {"nams": ["a"]})

    assert str(problem).startswith("p.yaml: unknown key 'nams' (set by an override)")
    assert problem.suggestion == "names"


def test_a_wrong_line_of_the_file_keeps_its_line_beside_an_override() -> None:
    assert [each.line for each in problems("part:\n  size: 0\n", {"part": {"login": "env:A"}})] == [2]


def test_a_document_that_is_no_mapping_gives_no_model() -> None:
    page = document("- a\n")

    assert read_model(Model, page) is None
    assert len(page.problems()) == 1


TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["sk-x", "env:A", "hit"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text() | st.sampled_from([*Model.model_fields, *Part.model_fields]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


def test_a_refused_value_that_would_fit_as_text_gives_no_model() -> None:
    assert told("either: 1e16") == ["1:9 either: a number with an exponent is text to some YAML readers"]


@settings(deadline=None)
@example({"either": 1e16})
@given(st.dictionaries(st.sampled_from([*Model.model_fields, "other"]), TREES))
def test_any_tree_gives_a_model_or_a_problem(tree: dict[str, object]) -> None:
    page = document(json.dumps(tree))
    model = read_model(Model, page)

    assert (model is None) is (not page.sound)
    for problem in page.problems():
        assert str(problem)
