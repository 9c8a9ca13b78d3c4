import os
import sys
from pathlib import Path

import pytest


class Became(Exception):
    """Raised in place of becoming another process."""


@pytest.fixture
def became(monkeypatch):
    """Note what `up` would become, instead of becoming it."""
    noted = []

    def execve(program, command, environment):
        noted.append((program, command, environment))
        raise Became

    monkeypatch.setattr(os, "execve", execve)
    return noted


@pytest.fixture(autouse=True)
def all_ports_are_free(monkeypatch):
    """Ports are for the integration tests; here none is opened."""
    monkeypatch.setattr("penstock.cli.up._check_free", lambda flag, address: None)


def test_it_becomes_the_gateway_with_the_same_words(run, became, tmp_path):
    with pytest.raises(Became):
        run("up", "--state", "here", "--listen", "127.0.0.1:1234")
    (program, command, environment), *_ = became
    assert program == command[0] == sys.executable
    assert command[1:4] == ["-O", "-m", "penstock.proxy.run"]
    assert command[4:] == ["--state", "here", "--listen", "127.0.0.1:1234"]
    assert Path(environment["PROMETHEUS_MULTIPROC_DIR"]).samefile(
        tmp_path / "here" / "metrics" / "127.0.0.1-1234"
    )
    assert environment["PATH"] == os.environ["PATH"]


def test_the_state_folder_is_private_and_its_metrics_begin_anew(run, became, tmp_path):
    for _ in range(2):
        with pytest.raises(Became):
            run("up", "--state", "here")
        (tmp_path / "here" / "metrics" / "127.0.0.1-8080" / "counter_1.db").touch()
        (tmp_path / "here" / "penstock.db").touch()
    with pytest.raises(Became):
        run("up", "--state", "here")
    assert (tmp_path / "here").stat().st_mode & 0o777 == 0o700
    assert list((tmp_path / "here" / "metrics" / "127.0.0.1-8080").iterdir()) == []
    assert (tmp_path / "here" / "penstock.db").exists()


@pytest.mark.parametrize("listen", ["0.0.0.0:8080", "[::]:8080", "192.0.2.1:8080", "example.com:80"])
def test_others_are_not_let_in_by_mistake(run, became, listen):
    told = run("up", "--listen", listen)
    assert (told.code, told.out, became) == (2, "", [])
    assert told.err.startswith(f"--listen {listen}: other machines reach this address and no tenants")
    assert "--open" in told.err
    with pytest.raises(Became):
        run("up", "--listen", listen, "--open")


def test_open_mode_is_said_where_it_was_asked_for(run, became, capsys):
    for listen in ("0.0.0.0:8080", "127.0.0.1:8080"):
        with pytest.raises(Became):
            run("up", "--listen", listen, "--open")
        assert capsys.readouterr().err == (
            "open mode: every client is the tenant 'default', and no key is asked for\n"
        )


@pytest.fixture
def keyed(policies):
    """Policies with a tenant, and an upstream with a key of its own."""
    (policies / "tenants.yaml").write_text("tenants: {acme: {}}\n")
    upstreams = policies / "upstreams.yaml"
    upstreams.write_text(upstreams.read_text().replace("key: client", "key: env:OPENAI_API_KEY"))
    return str(policies)


def test_with_tenants_others_are_let_in_and_open_has_no_effect(run, became, keyed, capsys):
    with pytest.raises(Became):
        run("up", "--listen", "0.0.0.0:8080", "--policies", keyed)
    assert capsys.readouterr().err == ""
    with pytest.raises(Became):
        run("up", "--open", "--policies", keyed)
    assert capsys.readouterr().err == (
        "--open has no effect: tenants are configured, and every client needs a key\n"
    )


def test_policies_that_are_wrong_open_nothing(run, became, keyed):
    Path(keyed, "tenants.yaml").write_text("tenant: {acme: {}}\n")
    told = run("up", "--listen", "0.0.0.0:8080", "--open", "--policies", keyed)
    assert (told.code, became) == (2, [])
    assert "did you mean 'tenants'?" in told.err


@pytest.mark.parametrize("listen", "127.0.0.1:80 127.8.8.8:80 [::1]:80 localhost:80 :80".split())
def test_this_machine_is_let_in(run, became, listen):
    with pytest.raises(Became):
        run("up", "--listen", listen)


def test_a_word_that_is_no_log_level(run, became, monkeypatch):
    monkeypatch.setenv("PENSTOCK_LOG_LEVEL", "chatty")
    told = run("up")
    assert (told.code, became) == (2, [])
    assert told.err == "PENSTOCK_LOG_LEVEL=CHATTY: use DEBUG, INFO, WARNING, ERROR or CRITICAL\n"
