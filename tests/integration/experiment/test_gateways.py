"""Experiments and feedback with real gateways: stopped in one, stopped in all; asked here, rated there."""

import json
import subprocess
import sys

from openai import OpenAI
from tests.integration.house.house_parts import Answer, ask, ask_chat, files_with, until

EVERYONE = [f"user{number}" for number in range(24)]


def command(pair, *words):
    told = subprocess.run(
        [sys.executable, "-m", "penstock", "experiment", *words, *pair.options],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return told.stdout


def status(pair, name):
    (told,) = json.loads(command(pair, "status", name, "--json"))["experiments"]
    return told


def arms(answer: Answer) -> dict[str, str]:
    return dict(each.split("=") for each in answer.headers["x-dac-experiment"].split(","))


def chat(pair, gateway, user, text, **more) -> Answer:
    return ask_chat(gateway, text, pair.headers(), user=user, **more)


def rate(pair, gateway, request_id, tenant="acme", **said) -> Answer:
    body = {"request_id": request_id, **(said or {"score": 1.0})}
    return ask(f"{gateway.base_url}/dac/feedback", body, pair.headers(tenant))


def test_a_user_has_the_same_arm_everywhere_until_a_guardrail_stops_it(pair):
    first = {}
    for user in EVERYONE:
        answers = [
            chat(pair, gateway, user, f"same {user} {place}")
            for place, gateway in enumerate((pair.first, pair.second))
        ]
        assert arms(answers[0]) == arms(answers[1])
        first[user] = arms(answers[0])["doomed"]
        assert answers[0].status == (200 if first[user] == "control" else 500)
    assert set(first.values()) == {"control", "treatment"}
    doomed = next(user for user, arm in first.items() if arm == "treatment")
    for number in range(4):  # more than enough for thirty of each
        for user in EVERYONE:
            chat(pair, pair.first, user, f"more {number} {user}")
    until(lambda: status(pair, "doomed")["state"] == "stopped", "the stop")
    told = status(pair, "doomed")
    assert (told["by"], told["everyone_gets"]) == ("guardrail", "control")
    assert told["evidence"].startswith("treatment: error ")
    for gateway in (pair.first, pair.second):
        answer = until(lambda at=gateway: _well(chat(pair, at, doomed, "after the stop")), "the control", 2)
        assert arms(answer)["doomed"] == "control"
    assert any(
        "stopped by a guardrail" in line.get("message", "") for line in pair.first.log + pair.second.log
    )


def _well(answer):
    return answer if answer.status == 200 else None


def test_feedback_reaches_another_process_and_counts_for_the_arm(pair, sample):
    before = _rated(pair)
    asked = [chat(pair, pair.first, user, f"rate me, {user}") for user in EVERYONE]
    good = [answer for answer in asked if answer.status == 200]
    calls = sample.calls
    for answer in good:
        request_id = answer.headers["x-request-id"]
        rated = until(lambda: _known(rate(pair, pair.second, request_id, label="good")), "the decision")  # noqa: B023
        assert (rated.status, rated.body) == (204, b"")
    assert sample.calls == calls  # none of it went upstream
    until(lambda: _rated(pair) == before + len(good), "the tally")
    again = rate(pair, pair.first, good[0].headers["x-request-id"], score=0.0)
    assert again.status == 204  # taken, and not counted twice


def _known(answer):
    return answer if answer.status != 404 else None


def _rated(pair):
    counts = status(pair, "counted")["arms"].values()
    return sum(each["metrics"].get("quality", {"n": 0})["n"] for each in counts)


def test_only_the_tenant_itself_can_rate_its_answer(pair):
    answer = chat(pair, pair.first, "ada", "whose answer is this")
    request_id = answer.headers["x-request-id"]
    foreign = rate(pair, pair.first, request_id, "globex")
    assert (foreign.status, foreign.code) == (404, "unknown_request")
    assert rate(pair, pair.first, request_id).status == 204
    stranger = ask(f"{pair.first.base_url}/dac/feedback", {"request_id": request_id, "score": 1})
    assert stranger.status == 401


def test_bad_feedback_is_told_where(pair):
    answer = rate(pair, pair.first, "req_x", score=1, comment="my name is Ada")
    assert (answer.status, answer.code) == (400, "invalid_feedback")
    assert answer.json["error"]["param"] == "/comment"
    long = rate(pair, pair.first, "r" * 5000)
    assert (long.status, long.code) == (413, "request_too_large")
    got = ask(f"{pair.first.base_url}/dac/feedback", None, pair.headers())
    assert (got.status, got.headers["allow"]) == (405, "POST")


def test_an_ephemeral_answer_cant_be_rated(pair):
    answer = ask_chat(pair.first, "forget me", pair.headers(**{"X-DAC-Store": "none"}), user="ada")
    assert rate(pair, pair.first, answer.headers["x-request-id"]).status == 404


def test_the_cost_of_streams_is_counted_though_the_sdk_leaves_at_once(pair):
    def counted():
        told = status(pair, "counted")["arms"].values()
        return [
            sum(each["metrics"].get(metric, {"n": 0})["n"] for each in told)
            for metric in ("cost_usd", "error")
        ]

    client = OpenAI(base_url=pair.second.base_url, api_key=pair.keys["acme"], max_retries=0)
    until(lambda: counted() == counted(), "rest")
    before = counted()
    for number in range(5):
        messages = [{"role": "user", "content": f"stream {number}"}]
        for _ in client.chat.completions.create(model="m", messages=messages, user="ada", stream=True):
            pass
    client.close()
    until(lambda: counted()[1] >= before[1] + 5, "the streams")
    now = counted()
    assert (now[0] - before[0], now[1] - before[1]) == (5, 5)


def test_what_a_killed_process_counted_stays(pair):
    chat(pair, pair.second, "ada", "before the end")
    until(lambda: pair.second.running, "it")
    requests = until(lambda: _settled(pair), "the tally")
    pair.second._process.kill()
    pair.second._process.wait(10)
    assert sum(each["requests"] for each in status(pair, "counted")["arms"].values()) >= requests


def _settled(pair):
    told = [sum(each["requests"] for each in status(pair, "counted")["arms"].values()) for _ in range(2)]
    return told[0] if told[0] == told[1] else None


def test_nothing_that_was_said_is_in_the_state_folder(pair):
    chat(pair, pair.first, "swordfish-user", "my secret is swordfish-text", temperature=1.5)
    rate(pair, pair.first, "req_swordfish")
    assert files_with(pair.first.state, b"swordfish") == []


def test_promoting_tells_every_gateway(pair):
    assert "everyone in counted gets the arm 'treatment'" in command(pair, "promote", "counted", "treatment")
    for user in EVERYONE[:6]:
        until(lambda: arms(chat(pair, pair.first, user, "promoted"))["counted"] == "treatment", user, 2)  # noqa: B023
