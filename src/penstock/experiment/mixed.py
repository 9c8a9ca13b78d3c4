"""Mixed: the policy set of each combination of arms, made before the first request needs it."""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Final

from penstock.errors import StartError
from penstock.experiment.arms import with_settings
from penstock.experiment.policy import Experiment, ExperimentPolicy
from penstock.policy.base import Policy, PolicySet

_MOST: Final = 256  # combinations that one file is read in
_MOST_SETS: Final = 4096

Chosen = tuple[tuple[str, str], ...]
"""Names of experiments, each with an arm."""


class Mixed:
    """The sets that follow from one set of files. Raises StartError for arms that go together badly."""

    def __init__(self, policies: PolicySet) -> None:
        self.base = policies
        self._sets: dict[Chosen, PolicySet] = {}
        self._files: dict[str, tuple[frozenset[str], Mapping[Chosen, Policy]]] = {}
        experiments = policies[ExperimentPolicy].experiments
        for file in {file for each in experiments.values() for arm in each.arms.values() for file in arm.set}:
            of_file = {
                name: each
                for name, each in experiments.items()
                if any(file in arm.set for arm in each.arms.values())
            }
            self._files[file] = frozenset(of_file), self._combined(file, of_file)

    def of(self, chosen: Chosen) -> PolicySet:
        """Give the set in which these arms' settings hold; an experiment that is not named sets nothing."""
        if (known := self._sets.get(chosen)) is not None:
            return known
        live = self.base
        for names, policies in self._files.values():
            combined = tuple(each for each in chosen if each[0] in names)
            if combined:
                live = live.replacing(policies[combined])
        if len(self._sets) >= _MOST_SETS:
            self._sets.clear()
        self._sets[chosen] = live
        return live

    def _combined(self, file: str, experiments: Mapping[str, Experiment]) -> Mapping[Chosen, Policy]:
        """Read one file in every combination of the arms that set it."""
        return {
            chosen: _with_arms(self.base, file, chosen, experiments).by_file[file]
            for chosen in _combinations(file, experiments)
        }


def variants[P: Policy](policies: PolicySet, kind: type[P], key: str) -> Iterator[P]:
    """Give this policy under each combination of arms that set the key; nothing where no arm does.

    For what has to be made ready before somebody gets the arm. Raises StartError.
    """
    ours = policies.by_file.get(ExperimentPolicy.file)
    if not isinstance(ours, ExperimentPolicy):  # a chain without experiments
        return
    setting = {
        name: each
        for name, each in ours.experiments.items()
        if any(key in arm.set.get(kind.file, {}) for arm in each.arms.values())
    }
    if setting:
        for chosen in _combinations(kind.file, setting):
            yield _with_arms(policies, kind.file, chosen, setting)[kind]


def _combinations(file: str, experiments: Mapping[str, Experiment]) -> Iterator[Chosen]:
    """Give every choice of one arm, or none, of each of these."""
    choices = [[None, *((name, arm) for arm in its.arms)] for name, its in experiments.items()]
    for count, each in enumerate(product(*choices)):
        if count >= _MOST:
            raise StartError(f"experiment.yaml: too many experiments set {file}.yaml at once")
        yield tuple(sorted(one for one in each if one is not None))


def _with_arms(
    policies: PolicySet, file: str, chosen: Chosen, experiments: Mapping[str, Experiment]
) -> PolicySet:
    """Lay what these arms set in one file over it."""
    over = [experiments[name].arms[arm].set for name, arm in chosen]
    try:
        return with_settings(policies, [{file: its[file]} for its in over if file in its])
    except ValueError as problem:
        arms = ", ".join(f"{name}={arm}" for name, arm in chosen)
        raise StartError(f"experiment.yaml: {arms} together: {problem}") from None
