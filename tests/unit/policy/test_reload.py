import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import ClassVar

import pytest

from penstock.policy.base import Policy, PolicySet
from penstock.policy.load import load
from penstock.policy.problems import PolicyProblems
from penstock.policy.reload import Reloader


class Limits(Policy):
    file: ClassVar[str] = "limits"

    most: int = 1


class Fragile(Policy):
    file: ClassVar[str] = "fragile"

    breaks: bool = False

    def check(self, policies: PolicySet) -> list[object]:  # type: ignore[override]
        return [] if not self.breaks else [1 / 0]


KINDS = (Limits, Fragile)


class Ear:
    """Hears what the reloader tells, and waits for it."""

    def __init__(self) -> None:
        self.sets: list[PolicySet] = []
        self.problems: list[PolicyProblems] = []
        self._told = asyncio.Event()

    def on_set(self, policies: PolicySet) -> None:
        self.sets.append(policies)
        self._told.set()

    def on_problem(self, problems: PolicyProblems) -> None:
        self.problems.append(problems)
        self._told.set()

    async def until(self, told: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not told():
                self._told.clear()
                await self._told.wait()

    async def set_with(self, most: int) -> None:
        await self.until(lambda: bool(self.sets) and self.sets[-1][Limits].most == most)

    async def problem_with(self, text: str) -> None:
        await self.until(lambda: bool(self.problems) and text in str(self.problems[-1]))


@pytest.fixture
def ear() -> Ear:
    return Ear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "limits.yaml").write_text("most: 1\n")
    return folder


@pytest.fixture
async def reloader(folder: Path, ear: Ear) -> AsyncIterator[Reloader]:
    reloader = Reloader(folder, KINDS, ear.on_set, ear.on_problem)
    reloader.start()
    yield reloader
    await reloader.stop()


async def test_a_written_file_is_loaded(reloader: Reloader, folder: Path, ear: Ear) -> None:
    (folder / "limits.yaml").write_text("most: 2\n")

    await ear.set_with(2)
    assert ear.problems == []


async def test_a_change_between_the_first_load_and_the_watch_is_not_missed(folder: Path, ear: Ear) -> None:
    reloader = Reloader(folder, KINDS, ear.on_set, ear.on_problem)
    load(folder, KINDS)
    (folder / "limits.yaml").write_text("most: 22\n")
    reloader.start()

    await ear.set_with(22)
    await reloader.stop()


async def test_a_file_replaced_by_a_rename_is_loaded(reloader: Reloader, folder: Path, ear: Ear) -> None:
    for most in (2, 3):
        (folder / ".draft").write_text(f"most: {most}\n")
        (folder / ".draft").rename(folder / "limits.yaml")
        await ear.set_with(most)


async def test_a_new_file_is_loaded(reloader: Reloader, folder: Path, ear: Ear) -> None:
    (folder / "fragile.yaml").write_text("breaks: false\n")

    await ear.until(lambda: len(ear.sets) == 1)


async def test_a_bad_set_changes_nothing_until_it_is_mended(
    reloader: Reloader, folder: Path, ear: Ear
) -> None:
    (folder / "limits.yaml").write_text("most: many\n")
    await ear.problem_with("expected a whole number, got 'many'")
    assert ear.sets == []

    (folder / "limits.yaml").write_text("most: 3\n")
    await ear.set_with(3)


def mounted(folder: Path) -> Path:
    """Lay a folder out as Kubernetes mounts a ConfigMap."""
    folder.mkdir()
    write_release(folder, "..one", most=1)
    (folder / "..data").symlink_to("..one")
    (folder / "limits.yaml").symlink_to("..data/limits.yaml")
    return folder


async def test_links_swapped_as_kubernetes_does_are_followed(tmp_path: Path, ear: Ear) -> None:
    folder = mounted(tmp_path / "mounted")
    reloader = Reloader(folder, KINDS, ear.on_set, ear.on_problem)
    reloader.start()

    for most, name in ((2, "..two"), (3, "..three")):
        write_release(folder, name, most=most)
        (folder / "..data_tmp").symlink_to(name)
        (folder / "..data_tmp").rename(folder / "..data")
        await ear.set_with(most)

    assert ear.problems == []
    await reloader.stop()


async def test_a_folder_that_is_a_swapped_link_is_followed(tmp_path: Path, ear: Ear) -> None:
    write_release(tmp_path, "one", most=1)
    write_release(tmp_path, "two", most=2)
    (tmp_path / "now").symlink_to("one")
    reloader = Reloader(tmp_path / "now", KINDS, ear.on_set, ear.on_problem)
    reloader.start()

    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").rename(tmp_path / "now")
    await ear.set_with(2)
    (tmp_path / "two" / "limits.yaml").write_text("most: 33\n")
    await ear.set_with(33)
    await reloader.stop()


def write_release(folder: Path, name: str, *, most: int) -> None:
    (folder / name).mkdir()
    (folder / name / "limits.yaml").write_text(f"most: {most}\n")


async def test_a_deleted_folder_is_a_problem_and_not_the_end(
    reloader: Reloader, folder: Path, ear: Ear
) -> None:
    shutil.rmtree(folder)
    await ear.problem_with("policies: the policies can't be read: No such file or directory")
    assert ear.sets == []

    write_release(folder.parent, folder.name, most=4)
    await ear.set_with(4)
    (folder / "limits.yaml").write_text("most: 55\n")
    await ear.set_with(55)


async def test_a_vanished_file_does_not_bring_the_defaults_back(
    reloader: Reloader, folder: Path, ear: Ear
) -> None:
    (folder / "limits.yaml").unlink()
    await ear.problem_with("limits.yaml: the file is gone")
    assert ear.sets == []

    (folder / "limits.yaml").write_text("most: 6\n")
    await ear.set_with(6)


async def test_asked_to_reload_the_folder_is_taken_as_it_is(
    reloader: Reloader, folder: Path, ear: Ear
) -> None:
    reloader.reload()
    await ear.until(lambda: len(ear.sets) == 1)

    (folder / "limits.yaml").write_text("most: 7\n")
    await ear.set_with(7)
    (folder / "limits.yaml").unlink()
    await ear.problem_with("the file is gone")
    reloader.reload()
    await ear.set_with(1)


async def test_overrides_stay_over_what_is_loaded_again(folder: Path, ear: Ear) -> None:
    over: Mapping[str, Mapping[str, int]] = {"limits": {"most": 9}}
    reloader = Reloader(folder, KINDS, ear.on_set, ear.on_problem, over)
    reloader.start()
    (folder / "limits.yaml").write_text("most: 2\n")

    await ear.set_with(9)
    await reloader.stop()


async def test_a_stage_whose_check_breaks_does_not_end_the_watch(
    reloader: Reloader, folder: Path, ear: Ear, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "fragile.yaml").write_text("breaks: true\n")
    await ear.problem_with("the check broke: ZeroDivisionError")
    assert "ZeroDivisionError" in caplog.text

    (folder / "fragile.yaml").write_text("breaks: false\n")
    await ear.until(lambda: len(ear.sets) == 1)


async def test_a_listener_that_breaks_is_logged_and_called_again(
    folder: Path, ear: Ear, caplog: pytest.LogCaptureFixture
) -> None:
    def once_broken(policies: PolicySet) -> None:
        ear.on_set(policies)
        if len(ear.sets) == 1:
            raise RuntimeError("the listener broke")

    reloader = Reloader(folder, KINDS, once_broken, ear.on_problem)
    reloader.start()
    reloader.reload()
    await ear.until(lambda: len(ear.sets) == 1)
    reloader.reload()
    await ear.until(lambda: len(ear.sets) == 2)

    assert "the listener broke" in caplog.text
    await reloader.stop()


async def test_after_stop_nothing_is_told_any_more(reloader: Reloader, folder: Path, ear: Ear) -> None:
    await reloader.stop()
    (folder / "limits.yaml").write_text("most: 8\n")
    reloader.reload()
    await asyncio.sleep(0.3)

    assert ear.sets == []
    await reloader.stop()
