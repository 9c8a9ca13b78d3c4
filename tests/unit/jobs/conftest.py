"""Makes the shared parts of these tests importable; importlib mode puts no folder on the path."""

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parents[1] / "stages"), str(Path(__file__).parent)]

from jobs_house import Shop  # noqa: E402


@pytest.fixture
async def open_shop():
    shops = []

    def make(*given, **routing):
        shops.append(Shop(*given, **routing))
        return shops[-1]

    yield make
    for shop in shops:
        await shop.close()
