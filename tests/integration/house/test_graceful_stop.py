"""The end: answers in flight finish whole, nobody new comes in, nothing is left running."""

import http.client
import os
import signal
import threading
from contextlib import closing

import pytest
from tests.integration.house.house_parts import (
    SampleThread,
    alive,
    ask,
    ask_chat,
    chat,
    children,
    listens,
    until,
)

from penstock.sample import Settings


@pytest.fixture(scope="module")
def paced():
    """An upstream that waits a second before a plain answer and paces its streams."""
    thread = SampleThread(Settings(first_ms=1000, delay_ms=100))
    yield thread
    thread.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_answers_in_flight_finish_whole(new_gateway, paced, number):
    gateway = new_gateway(upstream=paced.url)
    admin = children(gateway.pid)
    assert len(admin) == 1
    answers, bodies = {}, {"plain": chat("plain"), "streamed": chat("streamed", stream=True)}
    calls = paced.calls

    def send(name):
        answers[name] = ask(f"{gateway.base_url}/chat/completions", bodies[name])

    threads = [threading.Thread(target=send, args=(name,)) for name in bodies]
    idle = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=20)
    with closing(idle):
        idle.request("GET", "/healthz")
        assert idle.getresponse().read()
        for thread in threads:
            thread.start()
        until(lambda: paced.calls == calls + 2, "both calls upstream")
        os.kill(gateway.pid, number)
        until(lambda: not listens(gateway.port), "a closed door")
        assert gateway.running
        assert answers == {}, "the answers came before the door was closed: this shows nothing"
        for thread in threads:
            thread.join(20)
        assert idle.sock is not None
        assert idle.sock.recv(1) == b"", "the idle connection is still open"
    assert answers["plain"].status == answers["streamed"].status == 200
    assert answers["plain"].json["choices"][0]["finish_reason"] == "stop"
    assert answers["streamed"].body.rstrip().endswith(b"data: [DONE]")
    assert gateway.stop() == 0
    assert not alive(admin[0])
    assert not listens(gateway.admin_port)
    assert [line["status"] for line in gateway.exchanges] == [200, 200]
    assert not [line for line in gateway.log if line["level"] in ("error", "critical")]
    assert gateway.noise == []


def test_answers_kept_at_the_end_are_written(new_gateway, sample):
    """What the store still held back is there for the next start; its metrics begin anew."""
    first = new_gateway()
    assert ask_chat(first, "the last words").cache == "miss"
    assert first.stop() == 0
    second = new_gateway(state=first.state, policies=first.policies)
    assert "penstock_requests_total{" not in ask(f"{second.admin_url}/metrics").body.decode()
    assert ask_chat(second, "the last words").cache == "hit"


def test_the_admin_process_comes_back_and_goes_with_the_gateway(new_gateway):
    gateway = new_gateway()
    (first,) = children(gateway.pid)
    os.kill(first, signal.SIGKILL)
    (second,) = until(lambda: [pid for pid in children(gateway.pid) if pid != first], "another admin process")
    until(lambda: listens(gateway.admin_port), "its port")
    assert ask(f"{gateway.admin_url}/readyz").status == 200
    told = until(lambda: [line for line in gateway.log if line["level"] == "error"], "a log line")
    assert "admin process ended with code -9" in told[0]["message"]
    os.kill(gateway.pid, signal.SIGKILL)
    try:
        until(lambda: not alive(second), "the end of the admin process")
        assert not listens(gateway.admin_port)
    finally:
        if alive(second):
            os.kill(second, signal.SIGKILL)
