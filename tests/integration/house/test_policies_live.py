"""Policies that change while requests run."""

import os
import signal
import threading

import pytest
from tests.integration.house.house_parts import SampleThread, ask, ask_chat, chat, opened, until
from tests.integration.house.load import Load

from penstock.sample import Settings

WITHIN_S = 2.0


@pytest.fixture(scope="module")
def other_sample():
    """A second upstream, for policies that move to it; it paces its streams."""
    thread = SampleThread(Settings(delay_ms=200))
    yield thread
    thread.stop()


@pytest.fixture(scope="module")
def gateway(new_gateway, sample):
    """A gateway whose upstream is the policy's word alone."""
    return new_gateway(files={"upstreams": upstreams(sample)}, upstream="")


@pytest.fixture
def folder(gateway):
    """The policies, put back as they were."""
    before = {path: path.read_bytes() for path in gateway.policies.glob("*.yaml")}
    yield gateway.policies
    for path, text in before.items():
        path.write_bytes(text)
    until(lambda: failed_gauge(gateway) == 0, "the mended set")
    until(lambda: asked_twice(gateway) == "hit", "the old ttl")


def upstreams(sample):
    return f"default: one\nupstreams:\n  one:\n    url: {sample.url}\n"


def failed_gauge(gateway):
    return gauge(gateway, "penstock_policy_reload_failed")


def gauge(gateway, name):
    """Give the one sample of a metric without labels."""
    lines = ask(f"{gateway.admin_url}/metrics").body.decode().splitlines()
    values = [float(line.split()[1]) for line in lines if line.startswith(f"{name} ")]
    assert len(values) == 1
    return values[0]


def rename(path, text):
    draft = path.with_suffix(".draft")
    draft.write_text(text)
    draft.replace(path)


def write(path, text):
    path.write_text(text)


def asked_twice(gateway):
    """Ask something new twice, and say where the second answer came from."""
    text = os.urandom(8).hex()
    ask_chat(gateway, text)
    return ask_chat(gateway, text).cache


@pytest.mark.parametrize("change", [rename, write])
def test_a_change_under_load_fails_no_request(gateway, folder, sample, other_sample, change):
    with Load(lambda number: ask_chat(gateway, f"{change.__name__} {number}"), threads=4) as load:
        until(lambda: load.count > 50, "load")
        calls = other_sample.calls
        change(folder / "upstreams.yaml", upstreams(other_sample))
        until(lambda: other_sample.calls > calls, "a call to the new upstream", WITHIN_S)
        until(lambda: still(sample, load), "no more calls to the old one")
        change(folder / "upstreams.yaml", upstreams(sample))
        calls = sample.calls
        until(lambda: sample.calls > calls, "a call to the old upstream", WITHIN_S)
    assert load.broken == []
    assert set(load.answers) == {"200"}


def still(sample, load):
    """Say whether an upstream gets nothing while the load goes on."""
    calls, count = sample.calls, load.count
    until(lambda: load.count > count + 20, "more load")
    return sample.calls == calls


@pytest.mark.parametrize("change", [rename, write])
def test_a_new_ttl_is_active_soon(gateway, folder, change):
    assert asked_twice(gateway) == "hit"
    change(folder / "cache.yaml", "ttl_s: 0.000001\n")
    until(lambda: asked_twice(gateway) == "miss", "the new ttl", WITHIN_S)


def test_a_bad_file_keeps_the_old_set(gateway, folder):
    seen = len(gateway.log)
    (folder / "cache.yaml").write_text("ttl_s: 0.000001\nmax_temprature: 1\n")
    until(lambda: failed_gauge(gateway) == 1, "the failed reload", WITHIN_S)
    reloads = gauge(gateway, "penstock_policy_reloads_total")
    told = until(lambda: [line for line in gateway.log[seen:] if line["level"] == "error"], "the log line")
    path = folder / "cache.yaml"
    assert f"{path}:2:1: " in told[0]["message"]
    assert "unknown key 'max_temprature'" in told[0]["message"]
    assert "did you mean 'max_temperature'?" in told[0]["message"]
    assert asked_twice(gateway) == "hit"
    path.write_text("ttl_s: 60\nmax_temperature: 1\n")
    until(lambda: failed_gauge(gateway) == 0, "the mended set", WITHIN_S)
    assert gauge(gateway, "penstock_policy_reloads_total") > reloads


def test_a_vanished_file_is_a_problem_until_asked(gateway, folder):
    (folder / "ephemeral.yaml").unlink()
    until(lambda: failed_gauge(gateway) == 1, "the refusal of a folder without the file", WITHIN_S)
    os.kill(gateway.pid, signal.SIGHUP)
    until(lambda: failed_gauge(gateway) == 0, "the folder as it is", WITHIN_S)
    assert ask_chat(gateway, "after SIGHUP").status == 200


def test_sighup_reads_again_what_has_not_changed(gateway, folder):
    reloads = gauge(gateway, "penstock_policy_reloads_total")
    os.kill(gateway.pid, signal.SIGHUP)
    until(lambda: gauge(gateway, "penstock_policy_reloads_total") > reloads, "a reload", WITHIN_S)


def test_a_stream_ends_under_the_set_it_began_with(gateway, folder, other_sample):
    """The old set keeps answers; the new one, live while the stream runs, keeps none."""
    (folder / "upstreams.yaml").write_text(upstreams(other_sample))
    calls = other_sample.calls
    until(lambda: ask_chat(gateway, os.urandom(8).hex()) and other_sample.calls > calls, "the paced upstream")
    assert asked_twice(gateway) == "hit"
    text = os.urandom(8).hex()
    with opened(f"{gateway.base_url}/chat/completions", chat(text, stream=True)) as response:
        begun = response.readline()
        (folder / "cache.yaml").write_text("ttl_s: 0.000001\n")
        until(lambda: asked_twice(gateway) == "miss", "the new set", WITHIN_S)
        rest = response.read()
    assert b"[DONE]" not in begun
    assert rest.rstrip().endswith(b"data: [DONE]")
    until(lambda: ask_chat(gateway, text).cache == "hit", "what the old set kept")


def test_requests_go_on_while_files_change_all_the_time(gateway, folder):
    stop = threading.Event()

    def churn():
        for round_ in range(10_000):
            if stop.wait(0.02):
                break
            bad = "ttl_s: never\n" if round_ % 3 == 0 else f"ttl_s: {round_ + 1}\n"
            (rename if round_ % 2 else write)(folder / "cache.yaml", bad)

    thread = threading.Thread(target=churn, daemon=True)
    thread.start()
    try:
        with Load(lambda number: ask_chat(gateway, f"churn {number}"), threads=4) as load:
            until(lambda: load.count > 300, "load")
    finally:
        stop.set()
        thread.join()
    assert load.broken == []
    assert set(load.answers) == {"200"}
