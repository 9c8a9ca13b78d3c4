"""A desk in memory, and experiments that note what they are told."""

from typing import Any

from penstock import testing
from penstock.errors import StoreUnavailable
from penstock.feedback.decided import Decided, Notebook
from penstock.feedback.desk import Desk
from penstock.routing.outcomes import Learned, Outcome, Outcomes

_NONE = frozenset[int]()
LEARNED = Learned(frozenset({1, 2}), _NONE, _NONE, "small", 0.5, "code").packed()


class Experiments:
    """One thread and one arm for everybody; `told` is what came here."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any, float]] = []
        self.whose: bytes | None = b"thread"
        self.is_known = True
        self.flushed = 0
        self.gone = False
        self.fault: Exception | None = None

    def thread(self, exchange, request):
        return self.whose

    def known(self, exchange, request):
        return self.is_known

    def cost_usd(self, exchange):
        return 0.5

    def arms(self, exchange, request):
        return [("e", "d", "control", 3)]

    def rated(self, arms, score):
        self.told.append(("rated", arms, score))

    def unhappy(self, arms, weight):
        self.told.append(("unhappy", arms, weight))

    async def flush(self):
        self.flushed += 1
        if self.fault:
            raise self.fault
        if self.gone:
            raise StoreUnavailable("gone")


class House:
    """The desk; `taught` is what the router gets to learn from."""

    def __init__(self) -> None:
        self.clock = testing.FrozenClock()
        self.store = testing.MemoryStore(self.clock)
        self.resources = testing.resources(self.store, self.clock)
        self.experiments = Experiments()
        self.taught: list[Outcome] = []
        outcomes = Outcomes(self.resources.records, self.resources.keyring)
        plain = outcomes.put

        def put(outcome: Outcome) -> None:
            self.taught.append(outcome)
            plain(outcome)

        outcomes.put = put  # type: ignore[method-assign]
        notebook = Notebook(self.store, self.resources.keyring, self.clock)
        self.desk = Desk(notebook, outcomes, self.experiments, self.clock)

    def decided(self, **fields: Any) -> Decided:
        return Decided("acme", "auto", ["small"], self.clock.now(), **fields)

    def put(self, request_id: str, **fields: Any) -> None:
        self.desk.notebook.put(request_id, self.decided(**fields), 86_400.0)
