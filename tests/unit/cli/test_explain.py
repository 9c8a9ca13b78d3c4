import asyncio
import io
import json
import sys
from types import SimpleNamespace

import pytest

from penstock.routing.features import FEATURES, prompt_features
from penstock.routing.versions import History, Version, Versions
from penstock.routing.weights import NOTHING, Weights
from penstock.stores.keyring import Keyring
from penstock.stores.open import open_ledger


@pytest.fixture
def request_file(tmp_path):
    def write(body):
        path = tmp_path / "request.json"
        path.write_bytes(body if isinstance(body, bytes) else json.dumps(body).encode())
        return str(path)

    return write


CHAT = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": "hello"}]}


def explained(told):
    """Give action and reason by stage."""
    assert told.code == 0
    return {row["stage"]: (row["action"], row["reason"]) for row in json.loads(told.out)}


def test_a_table_of_what_each_stage_would_do(run, request_file):
    told = run("explain", request_file(CHAT))
    assert (told.code, told.err) == (0, "")
    lines = [line.split(maxsplit=2) for line in told.out.splitlines()]
    assert lines[0] == ["stage", "action", "why"]
    assert [line[:2] for line in lines[2:]] == [
        ["identify", "open"],
        ["ephemeral", "stored"],
        ["feedback", "pass"],
        ["experiment", "pass"],
        ["cache", "lookup"],
        ["budget", "pass"],
        ["routing", "pass"],
        ["upstream", "call"],
    ]


def test_json_and_headers(run, request_file):
    told = run("explain", "--json", "--header", "X-DAC-Store: none", request_file(CHAT))
    assert explained(told) == {
        "identify": ("open", "tenant default"),
        "ephemeral": ("ephemeral", "asked for by the client"),
        "feedback": ("pass", "ephemeral"),
        "experiment": ("pass", "no experiment"),
        "cache": ("bypass", "ephemeral"),
        "budget": ("pass", "no limits"),
        "routing": ("pass", "no alias"),
        "upstream": ("call", "openai, model gpt-5-mini"),
    }


def test_a_refusal_ends_the_road(run, request_file):
    told = run("explain", "--json", "--header", "X-DAC-Cache: never", request_file(CHAT))
    rows = explained(told)
    assert list(rows) == ["identify", "ephemeral", "feedback", "experiment", "cache"]
    assert rows["cache"][0] == "refuse"
    assert rows["cache"][1].startswith("400 invalid_cache: ")


@pytest.mark.parametrize("words", [[], ["-"]])
def test_the_request_may_come_on_stdin(run, monkeypatch, words):
    body = io.BytesIO(json.dumps({**CHAT, "temperature": 1.9}).encode())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=body))
    assert explained(run("explain", "--json", *words))["cache"][0] == "bypass"


@pytest.mark.parametrize(
    ("body", "cached"),
    [
        ({"model": "m", "messages": []}, "lookup"),
        ({"model": "m", "prompt": "x"}, "lookup"),
        ({"model": "text-embedding-3-small", "input": "x"}, "lookup"),
        ({"model": "m", "input": "x"}, "lookup"),
        ({"model": "m", "input": "x", "conversation": "conv_1"}, "bypass"),
    ],
)
def test_the_endpoint_is_guessed(run, request_file, body, cached):
    assert explained(run("explain", "--json", request_file(body)))["cache"][0] == cached


def test_the_endpoint_may_be_said(run, request_file):
    told = run("explain", "--json", "--path", "/v1/messages", request_file(CHAT))
    assert explained(told)["cache"] == ("pass", "no endpoint of the cache")


@pytest.mark.parametrize("body", [b'{"model": ', b"[]", b"", b"\xff"])
def test_wrong_json_is_explained_too(run, request_file, body):
    rows = explained(run("explain", "--json", request_file(body)))
    assert list(rows) == ["request"]
    assert rows["request"][0] == "refuse"
    assert rows["request"][1].startswith("400 invalid_json: ")


def test_a_header_without_a_colon(run, request_file):
    told = run("explain", "--header", "X-DAC-Store none", request_file(CHAT))
    assert (told.code, told.out) == (2, "")
    assert told.err == "--header 'X-DAC-Store none': write it as 'NAME: VALUE'\n"


def test_a_missing_file(run):
    told = run("explain", "nowhere.json")
    assert (told.code, told.out, told.err) == (2, "", "nowhere.json: No such file or directory\n")


PROVE = {"model": "auto", "messages": [{"role": "user", "content": "prove it"}]}


@pytest.fixture
def aliased(policies):
    """Give policies with one alias."""
    candidates = [{"model": "gpt-5-nano"}, {"model": "gpt-5"}]
    routing = {"aliases": {"auto": {"candidates": candidates, "large_share": 1.0}}}
    (policies / "routing.yaml").write_text(json.dumps(routing))
    return policies


@pytest.fixture
def state(tmp_path):
    """Give the state folder of a gateway that has learned what to think of one word."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    keyring = Keyring.in_folder(folder)
    pulls = dict.fromkeys(prompt_features("prove").words, 2.0)
    gain = Weights((1.0, 1.0, 1.0), 0.1, pulls)

    async def write():
        ledger, records = await open_ledger(f"sqlite:///{folder / 'penstock.db'}")
        history = History("acme", "auto")
        said = 1, 0.0, 300, "wins", gain.packed(), NOTHING.packed(), None, gain.digest()
        history.add(Version(*said, made_with=FEATURES))
        await Versions(records, keyring).write(history)
        await records.close()
        await ledger.close()

    asyncio.run(write())
    return folder


@pytest.mark.parametrize("tenant", ["acme", "globex"])
def test_the_features_that_decided_are_told(run, request_file, aliased, state, tenant):
    words = ("--policies", str(aliased), "--state", str(state), "--tenant", tenant, "--json")
    told = run("explain", *words, request_file(PROVE))
    action, reason = explained(told)["routing"]
    assert action == "gpt-5"
    assert ("'prove' +0." in reason) == (tenant == "acme")  # nobody else's scorer knows the word
    assert "for any; " in reason
    assert told.err == ""


def test_without_a_state_folder_the_prior_decides_and_none_is_made(run, request_file, aliased, tmp_path):
    words = ("--policies", str(aliased), "--state", str(tmp_path / "none"), "--json")
    assert explained(run("explain", *words, request_file(PROVE)))["routing"][0] == "gpt-5"
    assert not (tmp_path / "none").exists()


def test_a_store_that_is_gone_is_said_and_the_rest_explained(run, request_file, aliased, state):
    gone = "redis://127.0.0.1:1/0"
    words = ("--policies", str(aliased), "--state", str(state), "--store", gone, "--json")
    told = run("explain", *words, request_file(PROVE))
    assert told.err.startswith("without what was learned: ")
    assert "routing" in explained(told)
