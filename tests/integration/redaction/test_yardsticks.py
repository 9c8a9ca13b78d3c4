"""Other people's yardsticks: pii-leak-benchmark and chunk-invariance, against a real gateway."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from gateway_process import Gateway

CHAIN = "order: [identify, ephemeral, redaction, cache, upstream]"
TOOLS = Path(sys.executable).parent


@pytest.fixture(scope="module")
def redacting(start_gateway: Callable[..., Gateway]) -> Gateway:
    return start_gateway("yardsticks", chain=CHAIN, redaction="actions: {PERSON: allow}")


def run(tool: str, *words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TOOLS / tool, *words], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.timeout(150)
def test_nothing_leaks_and_everything_comes_back(
    redacting: Gateway, upstream_port: int, tmp_path: Path
) -> None:
    told = run(
        "pii-leak-benchmark",
        "selfcheck",
        *("--target-base-url", redacting.base_url, "--capture-port", str(upstream_port)),
        folder=tmp_path,
    )
    assert "CLEAN" in told.stdout, told.stdout + told.stderr
    assert "FAIL" not in told.stdout
    assert told.stdout.count("contained") == 6


@pytest.mark.timeout(150)
def test_fidelity_is_one_and_leak_zero_whole_and_split(
    redacting: Gateway, upstream_port: int, tmp_path: Path
) -> None:
    told = run(
        "pii-leak-benchmark-v2",
        *("--out", str(tmp_path), "--only", "retention-plus-decoding", "--seed", "penstock"),
        *("--gateway-url", redacting.base_url + "/chat/completions", "--upstream-port", str(upstream_port)),
        folder=tmp_path,
    )
    report = json.loads((tmp_path / "retention-plus-decoding.json").read_text())
    metrics = report["metrics"]
    assert metrics["cases_scored"] == 32, told.stdout + told.stderr
    assert metrics["fidelity_rate"] == 1.0
    assert metrics["leak_rate"] == {"single_chunk": 0.0, "adversarial": 0.0, "overall": 0.0}


@pytest.mark.timeout(150)
def test_the_yardstick_itself_can_tell(
    start_gateway: Callable[..., Gateway], upstream_port: int, tmp_path: Path
) -> None:
    """A gateway without the stage leaks, and the benchmark says so."""
    plain = start_gateway("yardsticks-plain")
    told = run(
        "pii-leak-benchmark",
        "selfcheck",
        *("--target-base-url", plain.base_url, "--capture-port", str(upstream_port)),
        folder=tmp_path,
    )
    assert "FAIL" in told.stdout
    assert "contained" not in told.stdout
