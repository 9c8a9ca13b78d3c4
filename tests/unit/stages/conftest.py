"""Makes the shared parts of these tests importable; importlib mode puts no folder on the path."""

import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "upstream")]


@pytest.fixture
async def build(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Open redaction stages with policies; their audit trails end with the test."""
    from redaction_stage_house import RedactionHouse  # only now can it be found

    homes: list[RedactionHouse] = []

    async def make(**policy: Any) -> RedactionHouse:
        homes.append(await RedactionHouse(tmp_path / str(len(homes)), **policy).open())
        return homes[-1]

    yield make
    for home in homes:
        await home.stage.stop()
