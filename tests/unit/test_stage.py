"""Stages are found where they are installed or stand in a folder; one that can't be loaded is named."""

from pathlib import Path

import pytest

from penstock import testing
from penstock.errors import StartError
from penstock.exchange import Exchange
from penstock.policy.base import StagePolicy
from penstock.stage import Stage, find_stages

GREET = '''
from penstock.policy.base import StagePolicy
from penstock.stage import Stage

class GreetPolicy(StagePolicy):
    """How to greet."""
    file = "{name}"

class Greet(Stage[GreetPolicy]):
    """Greets."""
    name = "{name}"
    policy = GreetPolicy
'''


def test_our_own_stages_are_found_by_their_entry_points() -> None:
    found = find_stages()
    assert {"identify", "ephemeral", "cache", "budget", "upstream"} <= found.keys()
    assert all(stage.name == name for name, stage in found.items())


def test_a_stage_in_the_folder_is_found_beside_them_and_what_it_imports_is_not(tmp_path: Path) -> None:
    (tmp_path / "greet.py").write_text(GREET.format(name="greet"))
    (tmp_path / "notes.txt").write_text("no stage")
    assert find_stages(tmp_path).keys() - find_stages().keys() == {"greet"}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = 1", "defines no Stage"),
        ("raise ValueError('no')", "ValueError: no"),
        ("def (", "SyntaxError"),
        (GREET.format(name="cache"), "a stage called 'cache' already exists"),
        (GREET.replace('    name = "{name}"', ""), "a stage needs a name and a policy"),
        (GREET.replace("    policy = GreetPolicy", ""), "a stage needs a name and a policy"),
    ],
)
def test_a_file_that_is_no_usable_stage_is_named(tmp_path: Path, source: str, message: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(source)
    with pytest.raises(StartError) as problem:
        find_stages(tmp_path)
    assert str(problem.value).startswith(f"{path}: ")
    assert message in str(problem.value)


def test_two_files_with_one_name_are_refused(tmp_path: Path) -> None:
    for file in ("a.py", "b.py"):
        (tmp_path / file).write_text(GREET.format(name="greet"))
    with pytest.raises(StartError, match=r"b\.py: a stage called 'greet' already exists"):
        find_stages(tmp_path)


def test_a_folder_that_is_not_there_is_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="no such folder"):
        find_stages(tmp_path / "mistyped")


async def test_a_stage_that_says_nothing_of_its_own_is_planned_as_acting_and_can_not_answer() -> None:
    class Mute(Stage[StagePolicy]):
        name = "mute"
        policy = StagePolicy

    exchange: Exchange = testing.exchange()
    assert Mute().plan(exchange).action == "acts"
    with pytest.raises(NotImplementedError):
        await Mute().answer(exchange, testing.FakeUpstream(testing.chat("hi")))
    await Mute().start(testing.resources())
    await Mute().stop()
