"""A third party's stage: examples/stage/, by --stage-dir and by an entry point."""

import os
import shutil
import subprocess
import sys

import pytest
from tests.integration.house.house_parts import REPOSITORY, SHIPPED, ask_chat, until

EXAMPLE = REPOSITORY / "examples" / "stage"
ORDER = "order: [identify, stamp, ephemeral, cache, upstream]\n"


@pytest.fixture
def policies(tmp_path):
    folder = tmp_path / "policies"
    shutil.copytree(SHIPPED, folder, ignore=shutil.ignore_patterns("*_test.yaml"))
    (folder / "chain.yaml").write_text(ORDER)
    shutil.copy(EXAMPLE / "stamp.yaml", folder)
    (folder / "stamp_test.yaml").write_text(
        "cases:\n"
        "  - name: everybody gets a stamp\n"
        "    request: {path: /v1/chat/completions, body: {model: m, messages: []}}\n"
        "    expect: {stamp: {action: stamp, reason: visitor}}\n"
    )
    return folder


@pytest.fixture
def installed(tmp_path):
    """A package on PYTHONPATH that offers the stage by an entry point."""
    site = tmp_path / "site"
    (site / "third_party").mkdir(parents=True)
    (site / "third_party" / "__init__.py").touch()
    shutil.copy(EXAMPLE / "stamp.py", site / "third_party" / "stamp.py")
    made = site / "third_party-1.0.dist-info"
    made.mkdir()
    (made / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party\nVersion: 1.0\n")
    (made / "entry_points.txt").write_text("[penstock.stages]\nstamp = third_party.stamp:Stamp\n")
    return {"PYTHONPATH": str(site)}


def check(policies, *options, env=None):
    command = [sys.executable, "-m", "penstock", "check", str(policies), *options]
    inherited = {**os.environ, **(env or {})}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=inherited)


def test_the_stages_own_test_passes():
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(EXAMPLE)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=REPOSITORY)
    assert told.returncode == 0, told.stdout
    assert "4 passed" in told.stdout


@pytest.mark.parametrize("way", ["stage-dir", "entry point"])
def test_the_stage_runs_in_the_gateway(new_gateway, sample, policies, installed, way):
    options, env = ([], installed) if way == "entry point" else (["--stage-dir", str(EXAMPLE)], {})
    told = check(policies, *options, env=env)
    assert (told.returncode, told.stdout) == (0, "13 policies are good; 1 of 1 cases pass\n")
    gateway = new_gateway(policies=policies, options=options, env=env)
    answers = [ask_chat(gateway, way), ask_chat(gateway, way), ask_chat(gateway, way, model="fault-500")]
    assert [answer.headers["x-dac-stamp"] for answer in answers] == ["visitor 1", "visitor 2", "visitor 3"]
    assert [answer.cache for answer in answers] == ["miss", "hit", "miss"]
    assert not [name for seen in sample.running.requests for name in seen.headers if "stamp" in name]
    (policies / "stamp.yaml").write_text("text: guest\n")
    until(lambda: ask_chat(gateway, way).headers["x-dac-stamp"].startswith("guest "), "the new policy")
    lines = until(lambda: [line for line in gateway.exchanges if "stamp" in line["decisions"]], "its lines")
    assert list(lines[0]["decisions"]) == ["identify", "stamp", "ephemeral", "cache", "upstream"]


def test_without_the_stage_its_policy_is_a_mistake(policies):
    told = check(policies)
    assert (told.returncode, told.stdout) == (2, "")
    assert f"{policies}/stamp.yaml" in told.stderr


def test_a_stage_in_a_wrong_place_is_refused(policies):
    (policies / "chain.yaml").write_text(ORDER.replace("identify, stamp", "stamp, identify"))
    told = check(policies, "--stage-dir", str(EXAMPLE))
    assert told.returncode == 2
    assert "'stamp' must stand after 'identify'" in told.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nothing_of_that_name\n", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("def broken(:\n", "SyntaxError: "),
        ("x = 1\n", "defines no Stage"),
    ],
)
def test_a_file_that_is_no_stage(policies, tmp_path, text, said):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "mine.py").write_text(text)
    told = check(policies, "--stage-dir", str(folder))
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.startswith(f"{folder}/mine.py: ")
    assert said in told.stderr
    assert "Traceback" not in told.stderr


def test_a_name_that_is_taken(policies, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "mine.py").write_text((EXAMPLE / "stamp.py").read_text().replace('"stamp"', '"cache"'))
    told = check(policies, "--stage-dir", str(folder))
    assert (told.returncode, told.stdout) == (2, "")
    assert "a stage called 'cache' already exists" in told.stderr
