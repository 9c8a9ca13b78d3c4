"""Stage: one async function around the rest of the road; and where stages are found."""

import importlib.util
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import ClassVar

from penstock.clock import SYSTEM, Clock
from penstock.errors import StartError
from penstock.exchange import Decision, Exchange
from penstock.policy.base import Policy, PolicySet, StagePolicy
from penstock.reply import Reply
from penstock.stores.keyring import Keyring
from penstock.stores.ledger import Ledger
from penstock.stores.protocol import Store
from penstock.stores.records import Records

Proceed = Callable[[Exchange], Awaitable[Reply]]
"""The rest of the road. A stage may call it once, again, or not at all."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What a stage may use beside its policy, lent by whoever built the chain."""

    store: Store
    ledger: Ledger
    records: Records
    keyring: Keyring
    state: Path
    clock: Clock = SYSTEM


class Stage[P: StagePolicy]:
    """One room of the road. A stage is built once; its policy comes with each exchange.

    `nouns` are further policies that it reads, such as the tenants; `after` names the stages that must
    stand before this one where they are in the chain at all; `skippable` is False for a stage that
    `on_failure: skip` would make dangerous.
    """

    name: ClassVar[str]
    policy: type[P]
    nouns: ClassVar[tuple[type[Policy], ...]] = ()
    after: ClassVar[tuple[str, ...]] = ()
    skippable: ClassVar[bool] = True

    @classmethod
    def demanded(cls, policies: PolicySet) -> str | None:
        """Say what in these policies would not hold in a chain without this stage; None if nothing."""
        return None

    async def start(self, resources: Resources) -> None:
        """Take what the stage needs for its life. Raises StartError."""

    def accept(self, policies: PolicySet) -> None:
        """Look at policies that are about to become live.

        Raises StartError for what only this machine can tell, such as a secret that isn't there.
        """

    async def stop(self) -> None:
        """Let go of it, after the last exchange has ended."""

    async def recall(self, resources: Resources) -> None:
        """Read what only `plan` needs of what was learned while gateways ran, and begin nothing.

        For whoever asks for plans without a gateway. Raises StoreUnavailable.
        """

    def plan(self, exchange: Exchange) -> Decision:
        """Say what the stage would do with this request, and why; it may mark the exchange, and asks nobody.

        Raises Refusal where the stage would refuse.
        """
        return Decision(self.name, "acts")

    async def answer(self, exchange: Exchange, proceed: Proceed) -> Reply:
        """Answer the exchange, usually with the help of `proceed`. Raises Refusal."""
        raise NotImplementedError


AnyStage = Stage[StagePolicy]


def find_stages(stage_dir: Path | None = None) -> dict[str, type[AnyStage]]:
    """Find every stage that is installed (entry points `penstock.stages`) or stands in `stage_dir`.

    Raises StartError for one that can't be loaded or that takes another's name.
    """
    found: dict[str, type[AnyStage]] = {}
    for point in entry_points(group="penstock.stages"):
        try:
            _add(found, point.load(), point.value)
        except StartError:
            raise
        except Exception as problem:
            raise StartError(f"stage {point.name}: can't load {point.value}: {problem}") from problem
    if stage_dir is not None and not stage_dir.is_dir():
        raise StartError(f"{stage_dir}: no such folder of stages")
    for path in sorted(stage_dir.glob("*.py")) if stage_dir else ():
        if path.name.startswith(("_", "test_")):  # a stage's own test may stand beside it
            continue
        for stage in _stages_in(path):
            _add(found, stage, str(path))
    return found


def _stages_in(path: Path) -> list[type[AnyStage]]:
    name = f"penstock_stage_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise StartError(f"{path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as problem:
        raise StartError(f"{path}: {type(problem).__name__}: {problem}") from problem
    stages = [
        thing
        for thing in vars(module).values()
        if isinstance(thing, type) and issubclass(thing, Stage) and thing.__module__ == name
    ]
    if not stages:
        raise StartError(f"{path}: defines no Stage")
    return stages


def _add(found: dict[str, type[AnyStage]], stage: type[AnyStage], where: str) -> None:
    if not isinstance(getattr(stage, "name", None), str) or not hasattr(stage, "policy"):
        raise StartError(f"{where}: a stage needs a name and a policy")
    if stage.name in found and found[stage.name] is not stage:
        raise StartError(f"{where}: a stage called {stage.name!r} already exists")
    found[stage.name] = stage
