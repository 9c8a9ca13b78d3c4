"""The leak proof's control: a gateway that leaks into every sink on purpose, and the search that finds it."""

import base64
import sqlite3
from contextlib import closing

import pytest
from gateway_process import Gateway
from tests.integration.house.house_parts import ask, until
from tests.integration.house.stock_mitmproxy import Stock
from tests.integration.redaction.canaries import ALL, CANARIES, leaks
from tests.integration.redaction.canary_requests import chat_body
from tests.integration.redaction.sinks import UPSTREAM, kept_by, sinks

from penstock.audit.record import Tally
from penstock.audit.trail import Trail
from penstock.clock import SYSTEM
from penstock.stores.keyring import Keyring

BLAB = """
import logging

from penstock.policy.base import StagePolicy
from penstock.stage import Stage


class BlabPolicy(StagePolicy):
    file = "blab"


class Blab(Stage[BlabPolicy]):
    name = "blab"
    policy = BlabPolicy

    async def answer(self, exchange, proceed):
        print(exchange.request.raw.decode(), flush=True)
        logging.getLogger("penstock.blab").warning("%s", exchange.request.raw.decode())
        return await proceed(exchange)
"""
CHAIN = "order: [identify, ephemeral, blab, cache, upstream]\n"
MAIL = CANARIES["EMAIL"]


@pytest.fixture(scope="module")
def leaking(proof_policies, proof_sample):
    """A gateway that does not redact, with a stage that tells all it sees; the model's name is a canary."""
    policies = proof_policies(chain=CHAIN, blab="on_failure: reject\n")
    stages = policies.parent / "stages"
    stages.mkdir()
    (stages / "blab.py").write_text(BLAB)
    state = policies.parent / "state"
    made = Gateway(state, proof_sample.url, policies, options=["--stage-dir", str(stages)]).start()
    proof_sample.running.reset()
    assert ask(f"{made.base_url}/chat/completions", chat_body(MAIL)).status == 200
    until(lambda: any("blab" in line.get("logger", "") for line in made.log), "the line that leaks")
    yield made
    made.stop()


@pytest.fixture
async def read(leaking, proof_sample):
    """Plant what no request can plant, and read every sink."""
    with closing(sqlite3.connect(leaking.state / "penstock.db")) as database:
        database.execute("CREATE TABLE planted (value)")
        database.execute("INSERT INTO planted VALUES (?)", [base64.b64encode(b"x" + ALL.encode())])
        database.commit()
        trail = Trail.open(leaking.state / "audit", Keyring.in_folder(leaking.state), SYSTEM)
        trail.add([Tally(MAIL, "EMAIL", 1, "0")])  # a tenant may be called by an e-mail address
        await trail.close()
        found = sinks(leaking, proof_sample)
        database.execute("DROP TABLE planted")
        database.commit()
    return found


async def test_the_search_finds_what_leaks_into_each_sink(read):
    found = leaks(read)
    for sink in ("stdout", "stderr", UPSTREAM):
        for type in CANARIES:
            assert f"{type} as raw in {sink}" in found
    for sink in ("the metrics", "the export as jsonl", "the export as csv"):
        assert f"EMAIL as raw in {sink}" in found
    assert any(one.startswith("EMAIL as raw in audit/audit-") for one in found)
    for type in CANARIES:
        assert any(one.startswith(f"{type} as base64 in phase") and "penstock.db" in one for one in found)


def test_the_search_finds_what_leaks_into_a_flow_dump(tmp_path, proof_policies, proof_sample):
    dump = tmp_path / "flows.mitm"
    policies = proof_policies(chain="order: [identify, ephemeral, cache, upstream]\n")
    options = ["-w", str(dump), "--set", "flow_detail=4"]
    run = Stock(tmp_path, proof_sample.url, options=options, policies=policies).start()
    try:
        assert ask(f"{run.base_url}/chat/completions", chat_body("m")).status == 200
    finally:
        run.stop()
    found = leaks({"the dump": dump.read_bytes(), "printed": "\n".join(run.told).encode()})
    for type in CANARIES:
        assert f"{type} as raw in the dump" in found
        assert f"{type} as raw in printed" in found


def test_the_search_finds_what_leaks_into_redis(proof_redis):
    for name, value in CANARIES.items():
        proof_redis.call("SET", f"planted:{name}", f"before {value} after")
    proof_redis.call("SET", f"planted:{MAIL}", "in a key")
    found = leaks(kept_by(proof_redis))
    for name in CANARIES:
        assert f"{name} as raw in Redis" in found
        assert any(one.startswith(f"{name} as raw in ") and "Redis" not in one for one in found)
