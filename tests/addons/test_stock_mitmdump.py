"""Our scripts in stock mitmdump: the whole chain, single stages, several, and what must not pass."""

import ast
import shutil
import socket
import sqlite3
from contextlib import closing, suppress

import pytest
from tests.integration.house.house_parts import REPOSITORY, SHIPPED, ask, ask_chat, listens, until

ADDONS = sorted((REPOSITORY / "addons").glob("*.py"))
SLOW_STAGE = """
import asyncio
from pathlib import Path
from penstock.policy.base import StagePolicy
from penstock.stage import Stage

class Slow(Stage[StagePolicy]):
    name = "slow"
    policy = StagePolicy

    async def start(self, resources):
        while not Path(__file__).with_name("go").exists():
            await asyncio.sleep(0.01)
"""


@pytest.mark.parametrize("path", ADDONS, ids=lambda path: path.stem)
def test_a_script_holds_no_code(path):
    """mitmproxy runs a script outside the import system: what it defines would break there."""
    tree = ast.parse(path.read_text())
    kinds = {type(node) for node in tree.body}
    assert kinds == {ast.Expr, ast.ImportFrom, ast.Assign}
    assert not [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda)
    ]
    assert f"addons/{path.name}" in (ast.get_docstring(tree) or "")


def test_there_is_a_script_for_every_stage_and_the_chain():
    stages = {path.stem for path in (REPOSITORY / "src/penstock/stages").glob("*.py")} - {"__init__"}
    assert {path.stem for path in ADDONS} == stages | {"chain"}


def test_the_whole_chain(stock, sample):
    run = stock().start()
    calls = sample.calls
    answers = [ask_chat(run, "chain") for _ in range(2)]
    assert [answer.cache for answer in answers] == ["miss", "hit"]
    assert answers[0].body == answers[1].body
    assert sample.calls == calls + 1
    assert sample.running.requests[-1].headers["authorization"] == "Bearer sk-test"
    assert ask_chat(run, "chain", {"X-DAC-Store": "some"}).code == "invalid_store"
    assert ask(f"{run.base_url}/models").json["object"] == "list"
    assert run.stop() == 0
    assert not listens(run.port)


def test_a_single_stage_runs_alone(stock, sample):
    run = stock(scripts=["cache"]).start()
    answers = [ask_chat(run, "alone", {"X-DAC-Store": "some"}) for _ in range(2)]
    assert [(answer.status, answer.cache) for answer in answers] == [(200, "miss"), (200, "hit")]
    assert "x-dac-store" not in answers[0].headers


def test_without_the_cache_nothing_is_cached(stock, sample):
    run = stock(scripts=["ephemeral"]).start()
    calls = sample.calls
    answers = [ask_chat(run, "uncached", {"X-DAC-Store": "none"}) for _ in range(2)]
    assert [answer.headers["x-dac-store"] for answer in answers] == ["none", "none"]
    assert [answer.cache for answer in answers] == ["", ""]
    assert sample.calls == calls + 2


def test_stages_in_a_wrong_order_run_in_the_right_one(stock):
    """With the cache before it, an ephemeral answer would be kept."""
    run = stock(scripts=["upstream", "cache", "ephemeral"]).start()
    answers = [ask_chat(run, "order", {"X-DAC-Store": "none"}) for _ in range(2)]
    assert [answer.cache for answer in answers] == ["bypass", "bypass"]
    assert run.stop() == 0
    with closing(sqlite3.connect(run.state / "penstock.db")) as database:
        assert database.execute("SELECT count(*) FROM entries").fetchone() == (0,)


def test_a_broken_policy_lets_nothing_through(stock, sample, tmp_path):
    shutil.copytree(SHIPPED, tmp_path / "policies")
    (tmp_path / "policies" / "cache.yaml").write_text("ttl_s: never\n")
    calls = sample.calls
    run = stock(policies=tmp_path / "policies").start(wait=False)
    passed = []

    def ended():
        if listens(run.port):
            with suppress(OSError):  # it may have ended meanwhile
                passed.append(ask_chat(run, "broken").status)
        return not run.running

    until(ended, "the end of mitmdump", within_s=40)
    assert run.wait() == 2
    assert set(passed) <= {503}
    assert sample.calls == calls
    assert any(f"{tmp_path}/policies/cache.yaml:1:8: ttl_s: " in line for line in run.told)


def leave_half_way(run, path):
    """Send a key and the beginning of a body, and leave."""
    with socket.create_connection(("127.0.0.1", run.port), timeout=10) as client:
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sk-test\r\n"
        client.sendall(f"{head}content-length: 100\r\n\r\nearly".encode())
        client.shutdown(socket.SHUT_WR)
        client.recv(65536)


def test_nothing_passes_before_the_gateway_is_open(stock, sample, tmp_path):
    (tmp_path / "slow.py").write_text(SLOW_STAGE)
    calls, dump = sample.calls, tmp_path / "flows.mitm"
    run = stock(env={"PENSTOCK_STAGE_DIR": str(tmp_path)}, options=["-w", str(dump)]).start(wait=False)
    until(lambda: listens(run.port), "the listener", within_s=40)
    early = [ask_chat(run, "early"), ask(f"{run.base_url}/files", b"early"), ask(f"{run.base_url}/models")]
    assert [answer.status for answer in early] == [503] * 3
    assert early[0].headers["retry-after"] == "1"
    assert sample.calls == calls
    leave_half_way(run, "/v1/files")
    (tmp_path / "go").touch()
    until(lambda: ask_chat(run, "late").status == 200, "the open gateway")
    assert sample.calls == calls + 1
    leave_half_way(run, "/healthz")
    assert run.stop() == 0
    kept = dump.read_bytes()
    assert b"late" in kept
    assert b"early" not in kept
    assert b"sk-test" not in kept


def test_another_mode_is_refused(stock):
    run = stock(options=["--mode", "regular@0"]).start(wait=False)
    assert run.wait() == 2
    assert any("--mode reverse:http://HOST:PORT" in line for line in run.told)
