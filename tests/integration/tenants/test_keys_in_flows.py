"""`mitmdump -w` with tenants: a reviewer's file has the traffic and the public id, and no key."""

import json
from pathlib import Path

import pytest
from tests.integration.house.house_parts import SampleThread, ask, chat, files_with, until
from tests.integration.house.stock_mitmproxy import Stock
from tests.integration.tenants.conftest import PROVIDER_KEY, House, write_policies


@pytest.fixture(scope="module")
def dumped(tmp_path_factory: pytest.TempPathFactory, sample: SampleThread) -> tuple[str, Stock, Path]:
    folder = tmp_path_factory.mktemp("flows")
    policies = write_policies(folder / "policies", sample.url)
    state = folder / "state-0"
    house = House(folder, f"sqlite:///{state / 'penstock.db'}", sample.url, policies)
    key = house.create("acme")
    state.rename(folder / "state")
    file = folder / "flows.mitm"
    run = Stock(
        folder,
        sample.url,
        policies=policies,
        options=["-w", str(file), "--set", "flow_detail=4"],
        env={"PROVIDER_KEY": PROVIDER_KEY, "PENSTOCK_LOG_LEVEL": "DEBUG"},
    ).start()
    url = f"{run.base_url}/chat/completions"
    until(lambda: ask(url, chat(model="gpt-4o"), {"authorization": f"Bearer {key}"}).status == 200, "the key")
    for headers in (
        {"api-key": key},
        {"x-api-key": key},
        {"authorization": f"Bearer {key}", "api-key": key},
        {"authorization": f"Bearer {key}x"},
    ):
        ask(url, chat("words to see", model="gpt-4o"), {"authorization": "", **headers})
    assert run.stop() == 0
    return key, run, file


def test_the_traffic_is_there_and_no_key(dumped: tuple[str, Stock, Path]) -> None:
    key, run, file = dumped
    held = file.read_bytes()
    assert b"words to see" in held, "the positive control failed"
    assert key[9:21].encode() in held, "the trace names the key by its public id"
    assert key[21:].encode() not in held
    assert PROVIDER_KEY.encode() not in held
    assert files_with(run.state, key[21:].encode()) == []


def test_nothing_of_it_is_printed(dumped: tuple[str, Stock, Path]) -> None:
    key, run, _ = dumped
    assert any("POST" in line for line in run.told), "mitmdump printed no flow at all"
    assert key[21:] not in json.dumps(run.told)
