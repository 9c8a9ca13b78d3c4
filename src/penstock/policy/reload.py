"""Watches the policies and swaps the whole set when all is well; a bad set changes nothing.

Two things look: the kernel's notices, which are quick, and a look at the files every second, which is
sure. It sees what notices miss: a folder that was deleted and made again, a link swapped above it.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final

import watchfiles

from penstock.errors import StartError
from penstock.policy.base import Policy, PolicySet
from penstock.policy.load import load, policy_files
from penstock.policy.problems import Place, PolicyProblems, Problem
from penstock.policy.validate import Overrides

_log: Final = logging.getLogger(__name__)

_DEBOUNCE_MS: Final = 100  # editors and `kubectl` touch several files in one go
_LOOK_MS: Final = 1000

_Seen = Mapping[str, tuple[int, ...]]


class Reloader:
    """Loads the folder again when it changes or when asked.

    Make it before the first `load`, so that no change between the two is missed. `on_set` and
    `on_problem` are called on the event loop, one at a time. A policy file that vanishes is a problem,
    not a return to the defaults, unless `reload` asked to take the folder as it is.
    """

    def __init__(
        self,
        directory: Path,
        kinds: Sequence[type[Policy]],
        on_set: Callable[[PolicySet], None],
        on_problem: Callable[[PolicyProblems], None],
        overrides: Mapping[str, Overrides] | None = None,
    ) -> None:
        self._directory = directory
        self._kinds = tuple(kinds)
        self._on_set = on_set
        self._on_problem = on_problem
        self._overrides = overrides or {}
        self._seen = _look(directory)
        self._present = self._own(self._seen)
        self._wanted = asyncio.Event()
        self._asked = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to watch; needs a running event loop."""
        self._tasks = [
            asyncio.create_task(self._watch(), name="policy watch"),
            asyncio.create_task(self._work(), name="policy reload"),
        ]

    async def stop(self) -> None:
        """Stop watching and wait until all is still."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def reload(self) -> None:
        """Load again, whether anything changed or not; made for SIGHUP."""
        self._asked = True
        self._wanted.set()

    async def _watch(self) -> None:
        """Look after every notice, and every second without one; never ends by itself."""
        while True:
            try:
                await self._notice()
                await self._follow()
            except Exception:
                # No folder for now, or no more watches to be had: looking alone has to do.
                _log.debug("the policies can't be watched, only looked at", exc_info=True)
            await asyncio.sleep(_LOOK_MS / 1000)

    async def _follow(self) -> None:
        notices = watchfiles.awatch(
            self._directory,
            watch_filter=None,
            debounce=_DEBOUNCE_MS,
            rust_timeout=_LOOK_MS,
            yield_on_timeout=True,
            recursive=False,
        )
        async with aclosing(notices):
            async for _ in notices:
                await self._notice()

    async def _notice(self) -> None:
        seen = await asyncio.to_thread(_look, self._directory)
        if seen != self._seen:
            self._seen = seen
            self._wanted.set()

    async def _work(self) -> None:
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            asked, self._asked = self._asked, False
            try:
                await self._load(asked=asked)
            except Exception:
                _log.exception("what uses the policies broke on a reload")

    async def _load(self, *, asked: bool) -> None:
        try:
            before = self._own(await asyncio.to_thread(_look, self._directory))
            policies = await asyncio.to_thread(load, self._directory, self._kinds, self._overrides)
            # One that came back while we read may not have been read: it counts if it was there before.
            present = before & self._own(await asyncio.to_thread(_look, self._directory))
            if not asked:
                self._refuse_vanished(self._present - present)
        except PolicyProblems as problems:
            self._on_problem(problems)
        except StartError as problem:
            self._on_problem(self._about_folder(str(problem)))
        except Exception as problem:
            # A stage's own check broke. The log has the trace; the set in use stays.
            _log.exception("the policies can't be checked")
            self._on_problem(self._about_folder(f"the check broke: {type(problem).__name__}"))
        else:
            self._present = present
            self._on_set(policies)

    def _refuse_vanished(self, gone: frozenset[str]) -> None:
        """Raise PolicyProblems for files that were there when the set in use was read."""
        if gone:
            what = "the file is gone; put it back, leave an empty one, or ask for a reload"
            raise PolicyProblems(Problem.at(Place(str(self._directory / name)), "", what) for name in gone)

    def _own(self, seen: _Seen) -> frozenset[str]:
        return frozenset(f"{kind.file}.yaml" for kind in self._kinds).intersection(seen)

    def _about_folder(self, message: str) -> PolicyProblems:
        path = str(self._directory)
        return PolicyProblems([Problem.at(Place(path), "", message.removeprefix(f"{path}: "))])


def _look(directory: Path) -> _Seen:
    """Say which policy files there are and what would differ if one were written; empty without a folder."""
    seen = {}
    try:
        paths = policy_files(directory)
    except StartError:
        return {}
    for path in paths:
        try:
            state = path.stat()
        except OSError:
            continue
        seen[path.name] = (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
    return seen
