"""School: what one process knows of all shelves while it is its turn, so that it looks up little."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from penstock.jobs.shelf import Shelf
from penstock.routing.outcomes import Outcome
from penstock.routing.versions import History, Place, Versions
from penstock.stores.keyring import Keyring
from penstock.stores.records import Records


@dataclass(slots=True)
class School:
    """One alias of one tenant: what it can learn from, how much of that is new, and when it last learned."""

    shelf: Shelf
    fresh: int
    trained_at: float = float("-inf")


class Schools:
    """The schools whose outcomes this process has taken in its present turn."""

    def __init__(self, records: Records, keyring: Keyring, versions: Versions) -> None:
        self._records = records
        self._keyring = keyring
        self._versions = versions
        self._schools: dict[Place, School] = {}
        self._turn = 0

    def open_in(self, turn: int) -> None:
        """Begin anew in a new turn: another process may have gone on with the shelves meanwhile."""
        if turn != self._turn:
            self._schools.clear()
        self._turn = turn

    def items(self) -> Sequence[tuple[Place, School]]:
        """Give all of them, with their places."""
        return list(self._schools.items())

    async def keep(self, outcomes: Mapping[str, Outcome]) -> None:
        """Put outcomes on their shelves, but for those that teach nothing. Raises StoreUnavailable."""
        by_place: defaultdict[Place, dict[str, Outcome]] = defaultdict(dict)
        for key, outcome in outcomes.items():
            if outcome.readable:
                by_place[outcome.tenant, outcome.alias][key] = outcome
        for place, its in by_place.items():
            school = self._schools.get(place) or await self._opened(place)
            school.fresh += await school.shelf.add(its)

    async def _opened(self, place: Place) -> School:
        """Go on where whoever had the turn before has left off."""
        taught = taught_by(self._versions.history(*place))
        shelf = await Shelf.open(self._records, self._keyring, place, taught)
        self._schools[place] = School(shelf, min(len(shelf), shelf.latest - taught))
        return self._schools[place]


def taught_by(history: History) -> int:
    """Give the number of the last outcome that taught any version.

    What came later is new to all of them. So a version that was put back by hand stays until there is new
    evidence against it.
    """
    return max((version.upto for version in history.versions), default=0)
