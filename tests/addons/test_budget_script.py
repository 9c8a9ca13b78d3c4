"""addons/budget.py alone in stock mitmdump: limits hold; identify comes along by itself."""

import asyncio
import json
import shutil

from tests.integration.house.house_parts import SHIPPED, ask, ask_chat, until

from penstock.stores.keyring import Keyring
from penstock.stores.open import open_ledger
from penstock.tenants.book import KeyBook

TENANTS = {"tenants": {"acme": {"limits": [{"unit": "requests", "window": "total", "limit": 2}]}}}
UPSTREAMS = {
    "default": "sample",
    "upstreams": {"sample": {"url": "http://replaced.invalid/v1", "auth": {"style": "none"}}},
}


def test_the_budget_stage_runs_alone(stock, sample, tmp_path):
    policies = tmp_path / "policies"
    shutil.copytree(SHIPPED, policies, ignore=shutil.ignore_patterns("*_test.yaml"))
    (policies / "tenants.yaml").write_text(json.dumps(TENANTS))
    upstreams = json.loads(json.dumps(UPSTREAMS).replace("http://replaced.invalid/v1", sample.url))
    (policies / "upstreams.yaml").write_text(json.dumps(upstreams))
    run = stock(scripts=["budget"], policies=policies)
    key = {"authorization": f"Bearer {asyncio.run(_key(run.state))}"}
    run.start()
    calls = sample.calls
    first = ask_chat(run, "first", key)
    assert (first.status, first.cache) == (200, "")
    assert first.headers["x-dac-budget-remaining"] == "1; unit=requests; scope=tenant; window=total"
    streamed = ask_chat(run, "second", key, stream=True)
    assert streamed.body.rstrip().endswith(b"data: [DONE]")
    stopped = until(lambda: _stopped(run, key), "the hard stop")
    assert stopped.code == "insufficient_quota"
    assert stopped.headers["x-should-retry"] == "false"
    assert sample.calls == calls + 2
    assert ask(f"{run.base_url}/models", headers=key).status == 200  # costs nothing
    assert run.stop() == 0


def _stopped(run, key):
    answer = ask_chat(run, "third", key)
    return answer if answer.status == 429 and answer.code == "insufficient_quota" else None


async def _key(state):
    """Make a key for acme in the store that the gateway will open."""
    state.mkdir(mode=0o700)
    ledger, records = await open_ledger(f"sqlite:///{state / 'penstock.db'}")
    made = await KeyBook(records, Keyring.in_folder(state)).create("acme")
    await ledger.close()
    await records.close()
    return made.value
