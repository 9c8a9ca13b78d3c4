"""The admin API of budgets at a running gateway with tenants: real keys, real requests, real SQLite."""

import json
import shutil
import socket
import subprocess
import sys

import pytest
from gateway_process import Gateway
from tests.integration.house.house_parts import SHIPPED, SampleThread, ask, chat, listens, until

TENANTS = """
tenants:
  acme:
    timezone: Europe/Berlin
    limits:
      - {unit: tokens, window: month, limit: 1000000}
      - {unit: usd, window: total, limit: 2.5}
    projects:
      search:
        limits: [{unit: requests, window: month, limit: 60}]
  globex: {}
"""
MODELS = """
models:
  "*": {input_usd_per_million: 1, output_usd_per_million: 2, context_tokens: 8000, max_output_tokens: 1000}
"""
CHAIN = "order: [identify, budget, upstream]\n"
TOKENS = {"scope": "tenant", "unit": "tokens", "window": "month"}


class House:
    """A gateway, its admin port, and the command line beside it."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.token = (gateway.state / "admin.token").read_text().strip()
        self._key = self.cli("keys", "create", "--tenant", "acme", "--project", "search").splitlines()

    def cli(self, *words):
        places = ("--state", str(self.gateway.state), "--policies", str(self.gateway.policies))
        command = [sys.executable, "-m", "penstock", *words, *places]
        told = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert told.returncode == 0, told.stderr
        return told.stdout

    def admin(self, path, body=None, *, method=None, token=None, headers=None):
        shown = self.token if token is None else token
        told = {"authorization": f"Bearer {shown}", **(headers or {})}
        return ask(f"{self.gateway.admin_url}{path}", body, told, method=method)

    def call(self):
        """Ask the model something as acme's project."""
        (key,) = [word for line in self._key for word in line.split() if word.startswith("penstock_")]
        headers = {"authorization": f"Bearer {key}"}
        return ask(f"{self.gateway.base_url}/chat/completions", chat("hello", max_tokens=50), headers)

    def limits(self, path="/budgets/acme"):
        answer = self.admin(path)
        assert answer.status == 200, answer.body
        return {(each["scope"], each["unit"], each["window"]): each for each in answer.json["limits"]}

    def used(self):
        return self.limits()["tenant", "tokens", "month"]["used"]

    def logged(self, text):
        return [line for line in list(self.gateway.log) if text in line.get("message", "")]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    sample, folder = SampleThread(), tmp_path_factory.mktemp("budgets")
    policies = folder / "policies"
    shutil.copytree(SHIPPED, policies, ignore=shutil.ignore_patterns("*_test.yaml"))
    url = sample.url
    files = {
        "tenants": TENANTS,
        "models": MODELS,
        "chain": CHAIN,
        "upstreams": f"default: a\nupstreams: {{a: {{url: '{url}', auth: {{style: none}}}}}}\n",
    }
    for name, text in files.items():
        (policies / f"{name}.yaml").write_text(text)
    gateway = Gateway(folder / "state", url, policies)
    try:
        gateway.start()
        until(lambda: listens(gateway.admin_port), "the admin process")
        yield House(gateway)
    finally:
        gateway.stop()
        sample.stop()


def code(answer):
    """Give status and code of an error, which is JSON of OpenAI's shape."""
    assert answer.headers["content-type"].startswith("application/json")
    assert set(answer.json) == {"error"}
    assert set(answer.json["error"]) == {"message", "type", "param", "code"}
    return answer.status, answer.code


def test_what_a_call_used_is_shown(house):
    before = house.limits()
    answer = until(lambda: (told := house.call()).status != 401 and told, "the key to be known")
    assert answer.status == 200
    spent = answer.json["usage"]["total_tokens"]
    was = before["tenant", "tokens", "month"]["used"]
    after = until(lambda: house.used() > was and house.limits(), "the charge")
    row = after["tenant", "tokens", "month"]
    assert (row["used"], row["reserved"], row["left"]) == (was + spent, 0, 1_000_000 - was - spent)
    calls = ("project:search", "requests", "month")
    assert after[calls]["used"] == before[calls]["used"] + 1
    assert after["tenant", "usd", "total"]["used"] > before["tenant", "usd", "total"]["used"]


def test_the_command_line_says_the_same(house):
    told = json.loads(house.cli("budget", "show", "--tenant", "acme", "--json"))
    shown = house.admin("/budgets/acme").json
    assert told.pop("at")[:10] == shown.pop("at")[:10]
    assert told == shown


def test_a_change_stops_and_lets_go_within_a_second_and_forgets_nothing(house):
    house.call()
    used = until(house.used, "a charge")
    changed = house.admin("/budgets/acme/limits", {**TOKENS, "limit": 1})
    assert changed.status == 200
    assert (changed.json["before"]["limit"], changed.json["after"]["limit"]) == (1_000_000, 1)
    assert changed.json["after"]["used"] >= used
    refused = until(lambda: (found := house.call()).status != 200 and found, "the hard stop", 2)
    assert (refused.status, refused.code) == (429, "insufficient_quota")
    back = house.admin("/budgets/acme/limits", TOKENS, method="DELETE")
    assert (back.status, back.json["after"]["limit"], back.json["after"]["source"]) == (
        200,
        1_000_000,
        "policy",
    )
    assert back.json["after"]["used"] >= used
    until(lambda: house.call().status == 200, "the policy's limit", 2)
    again = house.admin("/budgets/acme/limits", TOKENS, method="DELETE")
    assert code(again) == (404, "limit_not_changed")
    line = until(lambda: house.logged("admin api set the limit of tokens of the month"), "the log line")[-1]
    assert line["message"].endswith("for tenant acme: before 1000000 (policy), after 1 (changed)")
    assert house.logged("admin api put back the limit of tokens")


def test_a_change_by_the_command_line_acts_on_the_gateway(house):
    words = (
        "budget",
        "set",
        "--tenant",
        "acme",
        "--project",
        "search",
        "--unit",
        "requests",
        "--window",
        "month",
    )
    house.cli(*words, "--limit", "1")
    house.call()
    until(lambda: house.call().status == 429, "the hard stop", 2)
    assert house.limits()["project:search", "requests", "month"]["source"] == "changed"
    house.cli(*words, "--limit", "policy")
    until(lambda: house.call().status == 200, "the policy's limit", 2)


def test_a_reset_clears_one_limit_alone(house):
    house.call()
    until(house.used, "a charge")
    money = house.limits()["tenant", "usd", "total"]["used"]
    told = house.admin("/budgets/acme/reset", TOKENS)
    assert told.status == 200
    assert told.json["before"]["used"] > told.json["after"]["used"] == 0
    assert house.limits()["tenant", "usd", "total"]["used"] >= money > 0
    until(lambda: house.logged("admin api reset the use of the limit of tokens"), "the log line")


def test_a_limit_that_the_policy_does_not_have(house):
    new = {"scope": "project:search", "unit": "streams", "window": None, "model": None}
    added = house.admin("/budgets/acme/limits", {**new, "limit": 2})
    assert (added.status, added.json["before"], added.json["after"]["limit"]) == (200, None, 2)
    assert house.limits()["project:search", "streams", None]["policy_limit"] is None
    gone = house.admin("/budgets/acme/limits", new, method="DELETE")
    assert (gone.status, gone.json["after"]) == (200, None)
    assert ("project:search", "streams", None) not in house.limits()


def test_what_is_shown_can_be_sent_back(house):
    for row in house.limits().values():
        named = {name: row[name] for name in ("scope", "unit", "window", "model")}
        sent = house.admin("/budgets/acme/limits", {**named, "limit": row["limit"]})
        assert sent.json["after"]["limit"] == row["limit"]
        assert house.admin("/budgets/acme/limits", named, method="DELETE").status == 200


def test_a_forecast(house):
    found = house.limits("/budgets/acme/forecast")
    assert found["tenant", "usd", "total"]["outcome"] == "unknown"
    assert found["tenant", "usd", "total"]["reason"] == "it has no window that ends"
    assert set(found) == set(house.limits())


def test_a_reload_of_the_policies_is_seen(house):
    path = house.gateway.policies / "tenants.yaml"
    path.write_text(
        TENANTS.replace("globex: {}", "globex: {limits: [{unit: requests, window: day, limit: 9}]}")
    )
    assert house.limits("/budgets/globex")["tenant", "requests", "day"]["limit"] == 9
    path.write_text("tenants: 5\n")
    assert house.limits("/budgets/globex")["tenant", "requests", "day"]["limit"] == 9
    path.write_text(TENANTS)
    assert house.limits("/budgets/globex") == {}


def test_the_token_is_private_and_asked_for(house):
    assert (house.gateway.state / "admin.token").stat().st_mode & 0o777 == 0o600
    assert len(house.token) == 43
    for shown in ("", "x", house.token[:-1], house.token + "x", "sk-test"):
        answer = house.admin("/budgets/acme", token=shown)
        assert code(answer) == (401, "invalid_admin_token")
        assert answer.headers["www-authenticate"] == "Bearer"
    assert code(house.admin("/budgets/acme", headers={"authorization": house.token}))[0] == 401


@pytest.mark.parametrize(
    "path", ["/budgets/acme", "/budgets/nobody", "/budgets/acme/nothing", "/budgets/", "/budgets/a/b/c"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT"])
def test_without_the_token_nobody_learns_anything(house, path, method):
    assert code(house.admin(path, method=method, token="x"))[0] == 401


def test_health_and_metrics_need_no_token(house):
    for path in ("/healthz", "/readyz", "/metrics"):
        assert house.admin(path, token="").status == 200


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "Input data was truncated"),
        (b"{", "truncated"),
        (b"[]", "Expected `object`, got `array`"),
        (b"\xff", "not what it should be"),
        (b'{"scope": "\xff"}', "not what it should be"),
        ({**TOKENS}, "missing required field `limit`"),
        ({"unit": "tokens", "window": "month", "limit": 5}, "missing required field `scope`"),
        ({**TOKENS, "limit": "5"}, "Expected `int | float`, got `str` - at `$.limit`"),
        ({**TOKENS, "limit": True}, "got `bool`"),
        ({**TOKENS, "limit": None}, "got `null`"),
        ({**TOKENS, "limit": 5, "window": 5}, "Expected `str | null`, got `int` - at `$.window`"),
        ({**TOKENS, "limit": 5, "limits": 6}, "unknown field `limits`"),
        ({**TOKENS, "limit": 0}, "greater than 0"),
        ({**TOKENS, "limit": -1}, "greater than 0"),
        ({**TOKENS, "limit": 1.5}, "whole number"),
        ({**TOKENS, "limit": 10**30}, "at most"),
        (b'{"scope": "tenant", "unit": "usd", "window": "day", "limit": 1e999}', ""),
        (b'{"scope": "tenant", "unit": "usd", "window": "day", "limit": NaN}', "malformed"),
        ({**TOKENS, "unit": "usd", "limit": 0.0000001}, "6 decimals"),
        ({**TOKENS, "unit": "token", "limit": 5}, "Did you mean 'tokens'?"),
        ({**TOKENS, "window": "moth", "limit": 5}, "Did you mean 'month'?"),
        ({**TOKENS, "window": None, "limit": 5}, "needs a window"),
        ({**TOKENS, "unit": "streams", "limit": 5}, "has no window"),
        ({**TOKENS, "scope": "team:a", "limit": 5}, "'project:NAME'"),
        ({**TOKENS, "model": "\u0000", "limit": 5}, "control characters"),
    ],
)
def test_a_bad_body_is_400_with_the_reason(house, body, told):
    before = house.limits()
    answer = house.admin("/budgets/acme/limits", body, method="POST")
    assert code(answer)[0] == 400
    assert told in answer.json["error"]["message"]
    assert {key: row["limit"] for key, row in house.limits().items()} == {
        key: row["limit"] for key, row in before.items()
    }


def test_a_body_with_more_than_it_should_have(house):
    for path, method in (("limits", "DELETE"), ("reset", "POST")):
        answer = house.admin(f"/budgets/acme/{path}", {**TOKENS, "limit": 5}, method=method)
        assert code(answer) == (400, "invalid_json")


@pytest.mark.parametrize(
    ("path", "method", "body", "expected"),
    [
        ("/budgets/acne", "GET", None, (404, "tenant_not_found")),
        ("/budgets/default", "GET", None, (404, "tenant_not_found")),
        ("/budgets/%00", "GET", None, (404, "tenant_not_found")),
        ("/budgets/%ff%fe", "GET", None, (404, "tenant_not_found")),
        ("/budgets/acme/nothing", "GET", None, (404, "not_found")),
        ("/budgets/acme", "PUT", None, (405, "method_not_allowed")),
        ("/budgets/acme/limits", "GET", None, (405, "method_not_allowed")),
        ("/budgets/acme/reset", "POST", {**TOKENS, "window": "day"}, (404, "limit_not_found")),
        ("/budgets/acme/reset", "POST", {**TOKENS, "scope": "user:eve"}, (404, "scope_not_found")),
        ("/budgets/acme/limits", "DELETE", {**TOKENS, "window": "day"}, (404, "limit_not_found")),
        ("/budgets/acme/limits", "POST", b'"' + b"x" * 70_000 + b'"', (413, "request_too_large")),
        ("/nothing", "GET", None, (404, "not_found")),
    ],
)
def test_what_is_not_there_is_json_too(house, path, method, body, expected):
    answer = house.admin(path, body, method=method, headers={"accept": "text/html"})
    assert code(answer) == expected


def test_what_is_no_http_is_no_page_either(house):
    for raw in (
        b"GET /budgets HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\r\n\r\n",
        b"GET / HTTP/1.1\r\nx: " + b"y" * 20_000,
    ):
        with socket.create_connection(("127.0.0.1", house.gateway.admin_port), 5) as connection:
            connection.sendall(raw + b"\r\n\r\n")
            connection.shutdown(socket.SHUT_WR)
            assert b"<" not in connection.makefile("rb").read()


def test_the_token_stands_nowhere_else(house):
    house.admin("/budgets/acme", token=house.token)
    told = json.dumps(house.gateway.log) + "\n".join(house.gateway.out + house.gateway.noise)
    assert house.token not in told
    with_it = [
        path.name
        for path in house.gateway.state.rglob("*")
        if path.is_file() and house.token.encode() in path.read_bytes()
    ]
    assert with_it == ["admin.token"]


def test_a_token_that_others_may_read_closes_the_api_and_nothing_else(house):
    path = house.gateway.state / "admin.token"
    path.chmod(0o644)
    try:
        assert code(house.admin("/budgets/acme")) == (503, "admin_token_refused")
        assert house.admin("/readyz").status == 200
        line = until(lambda: house.logged("the admin API is closed"), "the log line")[-1]
        assert "chmod 600" in line["message"]
    finally:
        path.chmod(0o600)
    assert house.admin("/budgets/acme").status == 200
