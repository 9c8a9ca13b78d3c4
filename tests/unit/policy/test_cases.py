from pathlib import Path

import pytest

from penstock.errors import StartError
from penstock.policy.cases import Case, judge, read_cases
from penstock.policy.problems import PolicyProblems

CACHE = """\
cases:
  - name: a plain chat request is looked up
    request: {path: /v1/chat/completions, body: {model: m, messages: [], n: 1}}
    expect: {cache: lookup}
  - name: heat goes around the cache
    request:
      path: /v1/chat/completions
      method: POST
      headers: {X-DAC-Cache: bypass}
    expect:
      cache: {action: bypass, reason: temperature}
      upstream: send
"""


@pytest.fixture
def cases(tmp_path: Path) -> list[Case]:
    (tmp_path / "cache_test.yaml").write_text(CACHE)
    return read_cases(tmp_path)


def test_cases_are_read_with_what_they_send_and_expect(cases: list[Case]) -> None:
    plain, hot = cases

    assert plain.name == "a plain chat request is looked up"
    assert plain.request.method == "POST"
    assert plain.request.body == {"model": "m", "messages": [], "n": 1}
    assert plain.expect["cache"].action == "lookup"
    assert hot.request.headers == {"X-DAC-Cache": "bypass"}
    assert hot.expect["cache"].reason == "temperature"


def test_a_case_knows_where_it_stands(cases: list[Case]) -> None:
    assert [Path(case.file).name for case in cases] == ["cache_test.yaml"] * 2
    assert [case.line for case in cases] == [2, 5]


def test_what_was_expected_is_well(cases: list[Case]) -> None:
    decisions = {"cache": ("bypass", "the temperature is 1.0"), "upstream": ("send", "main")}

    assert judge(cases[1], decisions) == []


def test_another_action_is_told_with_its_reason(cases: list[Case]) -> None:
    (problem,) = judge(cases[0], {"cache": ("bypass", "no-store")})

    assert problem.where == "a plain chat request is looked up: cache"
    assert problem.message == "expected 'lookup', got 'bypass' (no-store)"
    assert (problem.line, problem.column, problem.source_line) == (4, 21, "    expect: {cache: lookup}")


def test_another_reason_is_told(cases: list[Case]) -> None:
    (problem,) = judge(cases[1], {"cache": ("bypass", "no-store"), "upstream": ("send", "")})

    assert problem.message == "expected a reason with 'temperature', got 'no-store'"
    assert problem.line == 11


def test_an_unknown_stage_gets_a_suggestion(cases: list[Case]) -> None:
    (problem,) = judge(cases[0], {"caches": ("lookup", ""), "budget": ("", "")})

    assert problem.message == "no stage 'cache' decided anything"
    assert problem.suggestion == "caches"


def test_every_expectation_is_judged(cases: list[Case]) -> None:
    assert [problem.line for problem in judge(cases[1], {})] == [11, 12]


def test_cases_of_all_files_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    for stage in ("b", "a"):
        text = f"cases:\n- {{name: {stage}, request: {{path: /}}, expect: {{x: z}}}}\n"
        (tmp_path / f"{stage}_test.yaml").write_text(text)
    (tmp_path / "a.yaml").write_text("no: cases\n")

    assert [case.name for case in read_cases(tmp_path)] == ["a", "b"]


def test_problems_of_all_files_come_at_once(tmp_path: Path) -> None:
    (tmp_path / "a_test.yaml").write_text("cases: []\n")
    (tmp_path / "b_test.yaml").write_text("cases:\n- name: x\n  request: {path: x}\n  expect: {}\n")

    with pytest.raises(PolicyProblems) as problems:
        read_cases(tmp_path)
    assert [problem.line for problem in problems.value.problems] == [1, 3, 4]


def test_a_folder_without_cases_has_none(tmp_path: Path) -> None:
    assert read_cases(tmp_path) == []


def test_without_a_folder_nothing_starts(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="can't be read"):
        read_cases(tmp_path / "gone")
