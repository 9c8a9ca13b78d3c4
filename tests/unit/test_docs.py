"""The docs keep their word: examples load, reference blocks are as the policies are, links lead somewhere."""

import re
import shutil
from pathlib import Path

import pytest

from penstock.cli.schema import renewed
from penstock.gateway import Policies
from penstock.settings import Settings, options_parser, shipped_policies, up_parser

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "README.md", ROOT / "CHANGELOG.md"]
EXAMPLE = re.compile(r"```yaml\n# policies/(\w+\.yaml)\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def example_cases() -> list[tuple[str, str, str]]:
    return [
        (page.name, name, text)
        for page in PAGES
        for name, text in EXAMPLE.findall(page.read_text(encoding="utf-8"))
    ]


def settings(policies: Path, state: Path) -> Settings:
    return Settings(policies, state, f"sqlite:///{state / 'test.db'}")


@pytest.mark.parametrize(("page", "name", "text"), example_cases(), ids=lambda value: str(value)[:20])
def test_an_example_is_a_good_policy(page: str, name: str, text: str, tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    shutil.copytree(shipped_policies(), folder)
    assert (folder / name).exists(), f"{page} shows a policy that is not shipped"
    (folder / name).write_text(text, encoding="utf-8")
    Policies(settings(folder, tmp_path)).read()


def test_every_stage_has_a_page_with_an_example() -> None:
    pages = {page.stem for page in (ROOT / "docs" / "stages").glob("*.md")}
    stages = Policies(settings(shipped_policies(), ROOT)).stages
    assert {*stages, "chain"} <= pages
    assert {page for page, _, _ in example_cases()} >= {f"{stage}.md" for stage in stages}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_reference_block_is_as_the_policy_is(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    kinds = Policies(settings(shipped_policies(), tmp_path)).kinds
    assert renewed(text, kinds) == text, "renew it: ./run.sh schema --pages docs"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_leads_somewhere(page: Path) -> None:
    dead = [
        link for link in LINK.findall(page.read_text(encoding="utf-8")) if not (page.parent / link).exists()
    ]
    assert not dead


def test_every_option_and_variable_is_on_the_running_page() -> None:
    page = (ROOT / "docs" / "operations" / "running.md").read_text(encoding="utf-8")
    options = {
        option
        for parser in (options_parser(), up_parser())
        for action in parser._actions
        for option in action.option_strings
    }
    assert all(f"`{option}" in page for option in options)


def test_every_metric_is_on_the_running_page() -> None:
    page = (ROOT / "docs" / "operations" / "running.md").read_text(encoding="utf-8")
    source = (ROOT / "src" / "penstock" / "telemetry" / "metrics.py").read_text(encoding="utf-8")
    names = re.findall(r'(?:Counter|Gauge|Histogram)\(\s*"(\w+)"', source)
    assert len(names) >= 8
    assert [name for name in names if f"`{name}`" not in page] == []
