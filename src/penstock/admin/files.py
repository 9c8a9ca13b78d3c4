"""Policy files as the gateway sees them: read again when they change; a bad change leaves the old ones."""

import logging
from collections.abc import Sequence
from pathlib import Path

from penstock.errors import Refusal, StartError
from penstock.policy.base import Policy, PolicySet
from penstock.policy.problems import PolicyProblems
from penstock.policy.validate import read_model
from penstock.policy.yaml_source import read_document

log = logging.getLogger("penstock.admin")


class Files[P: Policy]:
    """One file of a folder of policies, and what it is `checked` against.

    Without anything to check it against, only its own form is looked at.
    """

    def __init__(self, folder: Path, kind: type[P], checked: Sequence[type[Policy]] = ()) -> None:
        self._kind = kind
        self._checked = bool(checked)
        kinds: tuple[type[Policy], ...] = (kind, *checked)
        self._paths = {each: folder / f"{each.file}.yaml" for each in kinds}
        self._seen: object = None
        self._read: P | None = None

    def now(self) -> P:
        """Give the policy, read again if a file has changed.

        Raises Refusal (503) while it never was good.
        """
        seen = [_look(path) for path in self._paths.values()]
        if seen != self._seen:
            self._seen = seen
            try:
                self._read = self._load(vanished=self._read is not None)
            except StartError as problem:
                log.error("the admin process can't take %s, the old stays:\n%s", self._name, problem)
        if self._read is None:
            raise Refusal(503, "policies_unreadable", "The policies can't be read; the log says why.")
        return self._read

    @property
    def _name(self) -> str:
        return f"{self._kind.file}.yaml"

    def _load(self, *, vanished: bool) -> P:
        """Read and check. Raises StartError; for a missing file only where there was one before."""
        documents = {kind: read_document(path) for kind, path in self._paths.items()}
        if vanished and not documents[self._kind].exists:
            raise StartError(f"{self._paths[self._kind]}: the file is gone")
        read = {kind: read_model(kind, document) for kind, document in documents.items()}
        if problems := [problem for document in documents.values() for problem in document.problems()]:
            raise PolicyProblems(problems)
        policies = PolicySet({kind: policy for kind, policy in read.items() if policy is not None}, "")
        policy = policies[self._kind]
        for finding in policy.check(policies) if self._checked else ():
            raise StartError(f"{self._paths[self._kind]}: {finding.message}")
        return policy


def _look(path: Path) -> object:
    """Say what would differ if a file were written; None for one that is not there."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns
