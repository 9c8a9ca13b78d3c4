"""Reads all policies of a folder together: one PolicySet, or every problem that is in the way of it."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic_core import to_jsonable_python

from penstock.errors import StartError
from penstock.policy.base import Finding, Policy, PolicySet
from penstock.policy.document import Document
from penstock.policy.node import Loc, dotted
from penstock.policy.problems import Place, PolicyProblems, Problem, closest
from penstock.policy.validate import Overrides, read_model
from penstock.policy.yaml_source import read_document

CASES_END: Final = "_test.yaml"
_NO_OVERRIDES: Final[Mapping[str, Overrides]] = {}


def load(
    directory: Path,
    kinds: Sequence[type[Policy]],
    overrides: Mapping[str, Overrides] = _NO_OVERRIDES,
) -> PolicySet:
    """Read, check and freeze one policy of each kind.

    `overrides` lays values over files by their name without `.yaml`: `{"cache": {"ttl_s": 5}}`.
    Raises PolicyProblems with all that is wrong, StartError where there is no such folder.
    """
    documents = {kind: read_document(directory / f"{kind.file}.yaml") for kind in dict.fromkeys(kinds)}
    strangers = list(_strangers(directory, [kind.file for kind in documents]))
    policies: dict[type[Policy], Policy] = {}
    for kind, document in documents.items():
        policy = read_model(kind, document, overrides.get(kind.file))
        if policy is not None:
            policies[kind] = policy
    loaded = PolicySet(policies, digest_of(policies.values()))
    _cross_check(loaded, policies, documents)
    problems = [problem for document in documents.values() for problem in document.problems()]
    if problems or strangers:
        raise PolicyProblems([*strangers, *problems])
    return loaded


def digest_of(policies: Iterable[Policy]) -> str:
    """Give the digest of a set: BLAKE2b-128 in hex over the canonical JSON of all policies."""
    trees = {policy.file: _canonical(policy.model_dump()) for policy in policies}
    text = json.dumps(trees, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _canonical(value: Any) -> Any:  # noqa: ANN401
    """Give JSON that is the same in every process; sets have no order of their own."""
    match value:
        case Mapping():
            return {str(to_jsonable_python(key)): _canonical(inner) for key, inner in value.items()}
        case set() | frozenset():
            return sorted((_canonical(inner) for inner in value), key=lambda inner: json.dumps(inner))
        case list() | tuple():
            return [_canonical(inner) for inner in value]
        case _:
            return to_jsonable_python(value)


def policy_files(directory: Path) -> list[Path]:
    """Give the YAML files of a folder in order, without hidden ones. Raises StartError."""
    try:
        names = sorted(path.name for path in directory.iterdir())
    except OSError as problem:
        raise StartError(f"{directory}: the policies can't be read: {problem.strerror}") from problem
    return [directory / name for name in names if name.endswith((".yaml", ".yml")) and name[0] != "."]


def _strangers(directory: Path, known: Sequence[str]) -> Iterator[Problem]:
    """Find the files that nobody would ever read: a mistyped name is a policy that does nothing."""
    for path in policy_files(directory):
        if (path.suffix == ".yaml" and path.stem in known) or path.name.endswith(CASES_END):
            continue
        meant = closest(path.stem, known)
        suggestion = f"{meant}.yaml" if meant else None
        yield Problem.at(Place(str(path)), "", "no stage reads this file", suggestion=suggestion)


def _cross_check(
    loaded: PolicySet,
    policies: Mapping[type[Policy], Policy],
    documents: Mapping[type[Policy], Document],
) -> None:
    """Let every policy look at the others, and note what they find."""
    complete = len(policies) == len(documents)
    for kind, policy in policies.items():
        try:
            for finding in policy.check(loaded):
                _note(finding, kind, documents)
        except KeyError:
            # The policy it asked for has problems of its own; they come first and are told anyway.
            if complete:
                raise


def _note(finding: Finding, kind: type[Policy], documents: Mapping[type[Policy], Document]) -> None:
    document = documents[kind]
    where: Loc = finding.loc
    other = None
    if finding.other is not None and (beside := documents.get(finding.other[0])) is not None:
        other = (beside, beside.find(finding.other[1]))
    document.fault(
        document.find(where), dotted(where), finding.message, suggestion=finding.suggestion, other=other
    )
