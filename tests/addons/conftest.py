"""The scripts of addons/ in stock mitmproxy; the parts come from the tests of the house."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "integration"))  # importlib mode puts no folder there

from tests.integration.house.house_parts import SampleThread
from tests.integration.house.stock_mitmproxy import Stock


@pytest.fixture(scope="module")
def sample() -> Iterator[SampleThread]:
    """An upstream that this module has to itself."""
    thread = SampleThread()
    yield thread
    thread.stop()


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory, sample: SampleThread) -> Iterator[Callable[..., Stock]]:
    """Make mitmproxies in front of the sample upstream; they end with the module."""
    made: list[Stock] = []

    def make(**given: Any) -> Stock:
        made.append(Stock(tmp_path_factory.mktemp("stock"), sample.url, **given))
        return made[-1]

    yield make
    for one in made:
        if one.running:
            one.stop()
