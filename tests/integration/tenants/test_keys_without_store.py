"""The store of keys goes away: nobody is let in on old knowledge, and nothing needs a restart."""

import signal

from tests.integration.house.house_parts import RedisProcess, SampleThread, ask, chat, until
from tests.integration.tenants.conftest import House, write_policies


def answer(gateway, key):
    told = {"authorization": f"Bearer {key}"}
    return ask(f"{gateway.base_url}/chat/completions", chat(model="gpt-4o"), told)


def until_answer(gateway, key, code):
    """Wait for an answer with this code, or "" for a good one; give it."""
    seen = []

    def come():
        told = answer(gateway, key)
        seen[:] = [told.status, told.body[:200]]
        return told if (told.code if told.status != 200 else "") == code else None

    try:
        return until(come, "the answer", within_s=30)
    except AssertionError:
        raise AssertionError(f"{seen}\n{gateway.told()}") from None


def test_a_redis_that_dies_or_is_not_there_yet(tmp_path, redis: RedisProcess, sample: SampleThread) -> None:
    policies = write_policies(tmp_path / "policies", sample.url, identify="max_stale_s: 1\n")
    house = House(tmp_path, redis.url, sample.url, policies)
    try:
        first = house.add_gateway()
        key = house.create("acme")
        until_answer(first, key, "")
        redis.signal(signal.SIGKILL)
        refused = until_answer(first, key, "keys_unavailable")
        assert refused.status == 503
        assert refused.json["error"]["type"] == "api_error"
        second = house.add_gateway()  # it starts all the same
        assert answer(second, key).code == "keys_unavailable"
        assert answer(second, "sk-wrong").code == "keys_unavailable"
        assert house.keys("revoke", key[9:21]).returncode == 2
        redis.start()
        for gateway in (first, second):
            until_answer(gateway, key, "")
        said = {"the store of client keys does not answer", "the store of client keys answers again"}
        until(lambda: said <= {line.get("message") for line in first.log}, "both lines of the log")
    finally:
        house.stop()


def test_a_frozen_redis_counts_as_gone(tmp_path, redis: RedisProcess, sample: SampleThread) -> None:
    policies = write_policies(tmp_path / "policies", sample.url, identify="max_stale_s: 1\n")
    house = House(tmp_path, redis.url, sample.url, policies)
    redis.call("FLUSHALL")  # the keys of the test before have another keyring
    try:
        gateway = house.add_gateway()
        key = house.create("acme")
        until_answer(gateway, key, "")
        redis.signal(signal.SIGSTOP)
        try:
            until_answer(gateway, key, "keys_unavailable")
        finally:
            redis.signal(signal.SIGCONT)
        until_answer(gateway, key, "")
    finally:
        house.stop()
