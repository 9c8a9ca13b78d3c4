"""The owner's own tests: `<stage>_test.yaml` beside the policies says what each stage should decide.

cases:
  - name: a plain chat request is looked up
    request: {path: /v1/chat/completions, body: {model: m, messages: []}}
    expect: {cache: lookup}     # or {cache: {action: bypass, reason: temperature}}
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import Field, JsonValue

from penstock.policy.base import Policy
from penstock.policy.document import Document
from penstock.policy.load import CASES_END, policy_files
from penstock.policy.node import dotted
from penstock.policy.problems import Place, PolicyProblems, Problem, closest, quoted
from penstock.policy.validate import read_model
from penstock.policy.yaml_source import read_document


class CaseRequest(Policy):
    """The request a case sends; no socket is opened for it."""

    path: str = Field(pattern="^/", description="Path and query, from the slash on.")
    method: str = Field(default="POST", pattern="^[A-Z]+$", description="The HTTP method.")
    headers: Mapping[str, str] = Field(default={}, description="What the client's headers say.")
    body: Mapping[str, JsonValue] | None = Field(default=None, description="The JSON object it sends.")


class Expectation(Policy):
    """What a stage should decide: the action, and a part of the reason."""

    action: str = Field(description="The stage's own word for what it does.")
    reason: str = Field(default="", description="A part of the reason it should give.")


class WrittenCase(Policy):
    """A case as its file has it."""

    name: str = Field(min_length=1, description="What should happen, as a sentence.")
    request: CaseRequest
    expect: Mapping[str, str | Expectation] = Field(min_length=1, description="By stage, what it decides.")


class CaseFile(Policy):
    """A `<stage>_test.yaml`."""

    file: ClassVar[str] = "test"
    cases: tuple[WrittenCase, ...] = Field(min_length=1, description="The cases, run in this order.")


@dataclass(frozen=True, slots=True)
class Case:
    """One case, and where it and each of its expectations stand."""

    name: str
    request: CaseRequest
    expect: Mapping[str, Expectation]
    place: Place
    places: Mapping[str, Place]

    @property
    def file(self) -> str:
        """The file it stands in."""
        return self.place.path

    @property
    def line(self) -> int:
        """The line it begins on, from 1."""
        return self.place.line


def read_cases(directory: Path) -> list[Case]:
    """Read all cases of a folder in order. Raises PolicyProblems; StartError where there is no folder."""
    documents = [read_document(path) for path in policy_files(directory) if path.name.endswith(CASES_END)]
    read = [(document, read_model(CaseFile, document)) for document in documents]
    if problems := [problem for document in documents for problem in document.problems()]:
        raise PolicyProblems(problems)
    return [
        _located(document, number, case)
        for document, file in read
        if file is not None
        for number, case in enumerate(file.cases)
    ]


def judge(case: Case, decisions: Mapping[str, tuple[str, str]]) -> list[Problem]:
    """Compare what a case expects with what the stages decided: by stage, the action and the reason."""
    problems = []
    for stage, expected in case.expect.items():
        decided = decisions.get(stage)
        message, suggestion = None, None
        if decided is None:
            message, suggestion = f"no stage {quoted(stage)} decided anything", closest(stage, decisions)
        elif decided[0] != expected.action:
            why = f" ({decided[1]})" if decided[1] else ""
            message = f"expected {quoted(expected.action)}, got {quoted(decided[0])}{why}"
        elif expected.reason not in decided[1]:
            message = f"expected a reason with {quoted(expected.reason)}, got {quoted(decided[1])}"
        if message is not None:
            where = f"{case.name}: {dotted((stage,))}"
            problems.append(Problem.at(case.places[stage], where, message, suggestion=suggestion))
    return problems


def _located(document: Document, number: int, case: WrittenCase) -> Case:
    at = ("cases", number)
    expect = {
        stage: Expectation(action=said) if isinstance(said, str) else said
        for stage, said in case.expect.items()
    }
    places = {stage: document.place(document.find((*at, "expect", stage))) for stage in expect}
    return Case(case.name, case.request, expect, document.place(document.find(at)), places)
