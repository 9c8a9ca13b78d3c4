"""Flows as mitmweb lists them: in stock mitmweb with our script, and by `penstock up --ui web`."""

import json
import re

import pytest
from gateway_process import Gateway, free_port
from tests.integration.house.house_parts import ask, ask_chat, listens, until

TOKEN = "a-token-of-the-test"
KEY = "sk-W3BK3Y"
HIDDEN = "H1DD3N"


class Web:
    """mitmweb's own API."""

    def __init__(self, root, token):
        self.root = root
        self.headers = {"authorization": f"Bearer {token}"}

    def get(self, path):
        return ask(f"{self.root}{path}", headers=self.headers)

    def flows(self):
        return self.get("/flows").json

    def ended(self, count):
        """Wait until so many flows have ended, and give all."""
        flows = until(lambda: self._with_trace(count), f"{count} flows")
        return flows

    def _with_trace(self, count):
        flows = [flow for flow in self.flows() if flow["request"]["path"] != "/healthz"]
        return flows if sum(bool(flow.get("comment")) for flow in flows) >= count else None

    def body(self, flow, side):
        return self.get(f"/flows/{flow['id']}/{side}/content.data").body


@pytest.fixture(scope="module", params=["stock", "up"])
def opened(request, stock, sample, tmp_path_factory):
    """A gateway and the web interface that looks at it."""
    if request.param == "stock":
        port = free_port()
        options = ["--no-web-open-browser", "--web-port", str(port), "--set", f"web_password={TOKEN}"]
        run = stock(tool="mitmweb", options=options).start()
        yield run, Web(f"http://127.0.0.1:{port}", TOKEN)
        run.stop()
        return
    if listens(8081):
        pytest.skip("port 8081 is taken, where `--ui web` shows itself")
    gateway = Gateway(tmp_path_factory.mktemp("web") / "state", sample.url, options=["--ui", "web"]).start()
    told = until(lambda: [line for line in gateway.out if line.startswith("mitmweb: ")], "mitmweb's address")
    address = re.fullmatch(r"mitmweb: (http://127\.0\.0\.1:8081)/\?token=(\S+)", told[0])
    assert address
    yield gateway, Web(*address.groups())
    assert gateway.stop() == 0


@pytest.fixture(scope="module")
def flows(opened):
    """What mitmweb lists after a plain call, a stream, a hit and an ephemeral one."""
    run, web = opened
    key = {"authorization": f"Bearer {KEY}", "api-key": KEY}
    answers = {
        "plain": ask_chat(run, "plain", key, metadata={"a": "b"}),
        "streamed": ask_chat(run, "streamed", key, stream=True),
        "hit": ask_chat(run, "plain", key, metadata={"a": "b"}),
        "hidden": ask_chat(run, HIDDEN, {**key, "X-DAC-Store": "none", "user-agent": HIDDEN}, model=HIDDEN),
        "wrong": ask(f"{run.base_url}/chat/completions", b"{", key),
    }
    listed = [flow for flow in web.ended(4) if flow["request"]["path"] != "/healthz"]
    assert len(listed) == len(answers)
    return dict(zip(answers, zip(listed, answers.values(), strict=True), strict=True))


def test_no_key_is_listed(opened, flows):
    told = opened[1].get("/flows").body.decode()
    assert "plain" in flows
    assert KEY not in told
    assert "[removed]" in told


def test_bodies_are_as_sent_and_received(opened, flows):
    web = opened[1]
    flow, answer = flows["plain"]
    sent = json.loads(web.body(flow, "request"))
    assert sent["messages"] == [{"role": "user", "content": "plain"}]
    assert sent["metadata"] == {"a": "b"}
    assert web.body(flow, "response") == answer.body
    flow, answer = flows["streamed"]
    assert json.loads(web.body(flow, "request"))["stream_options"] == {"include_usage": True}
    received = web.body(flow, "response")
    assert received.startswith(b"data: {")
    assert received.rstrip().endswith(b"data: [DONE]")


def test_the_trace_is_the_comment(flows):
    decided = ["identify: open", "ephemeral: stored", "feedback: pass", "experiment: pass", "cache: miss"]
    decided += ["budget: pass", "routing: pass", "upstream: call"]
    assert flows["plain"][0]["comment"] == " · ".join(decided)
    assert flows["hit"][0]["comment"] == " · ".join([*decided[:4], "cache: hit"])


def test_a_hit_shows_no_body_that_was_never_sent(opened, flows):
    assert opened[1].body(flows["hit"][0], "request") == b""


def test_an_ephemeral_flow_shows_nothing(opened, flows):
    flow, answer = flows["hidden"]
    assert answer.status == 200
    assert flow["request"]["path"] == "/[ephemeral]"
    assert HIDDEN not in json.dumps(flow)
    assert opened[1].body(flow, "request") == b""
    assert opened[1].body(flow, "response") == b""


def test_the_interface_asks_for_its_token(opened):
    assert ask(f"{opened[1].root}/flows").status == 403
