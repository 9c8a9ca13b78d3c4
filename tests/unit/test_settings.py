import argparse
import os

import pytest

from penstock.errors import StartError
from penstock.settings import (
    Address,
    Settings,
    UpSettings,
    address_option,
    log_level_from_environment,
    make_state_folder,
    options_parser,
    shipped_policies,
    up_parser,
)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("PENSTOCK_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("text", "host", "port", "shown"),
    [
        ("127.0.0.1:8080", "127.0.0.1", 8080, "127.0.0.1:8080"),
        (":9090", "127.0.0.1", 9090, "127.0.0.1:9090"),
        ("9090", "127.0.0.1", 9090, "127.0.0.1:9090"),
        ("[::1]:80", "::1", 80, "[::1]:80"),
        ("example.com:65535", "example.com", 65535, "example.com:65535"),
    ],
)
def test_an_address_is_read_and_written(text, host, port, shown):
    address = Address.parse(text)
    assert (address.host, address.port, str(address)) == (host, port, shown)
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    "text", ["", "host", "host:", "host:0", "host:65536", "host:-1", "host:8 0", "host:٨٠"]
)
def test_what_is_no_address(text):
    with pytest.raises(ValueError, match="^" + text.replace("+", ".")):
        Address.parse(text)
    with pytest.raises(argparse.ArgumentTypeError, match="is not HOST:PORT"):
        address_option(text)


def test_the_shipped_policies_are_there():
    assert {"chain.yaml", "upstreams.yaml"} <= {path.name for path in shipped_policies().iterdir()}


def test_defaults():
    settings = Settings.from_environment()
    assert settings.policies == shipped_policies()
    assert str(settings.state) == ".penstock"
    assert settings.store == "sqlite:///.penstock/penstock.db"
    assert (settings.upstream, settings.stage_dir) == (None, None)


def test_the_store_stands_in_the_state_folder_unless_it_is_named(tmp_path):
    parse = options_parser().parse_args
    assert Settings.of(parse(["--state", str(tmp_path)])).store == f"sqlite:///{tmp_path}/penstock.db"
    named = ["--state", str(tmp_path), "--store", "redis://host"]
    assert Settings.of(parse(named)).store == "redis://host"


def test_the_environment_counts_and_options_count_more(monkeypatch):
    given = {"POLICIES": "p", "STATE": "s", "STORE": "redis://e", "UPSTREAM": "http://e/v1", "STAGE_DIR": "d"}
    for name, value in given.items():
        monkeypatch.setenv(f"PENSTOCK_{name}", value)
    settings = Settings.from_environment()
    assert (str(settings.policies), str(settings.state), settings.store) == ("p", "s", "redis://e")
    assert (settings.upstream, str(settings.stage_dir)) == ("http://e/v1", "d")
    said = options_parser().parse_args(["--upstream", "http://o/v1"])
    assert Settings.of(said).upstream == "http://o/v1"


def test_an_empty_variable_is_none(monkeypatch):
    monkeypatch.setenv("PENSTOCK_STATE", "")
    monkeypatch.setenv("PENSTOCK_UPSTREAM", "")
    settings = Settings.from_environment()
    assert (str(settings.state), settings.upstream) == (".penstock", None)


def test_what_up_knows_beside_them(monkeypatch):
    monkeypatch.setenv("PENSTOCK_ADMIN", ":7000")
    monkeypatch.setenv("PENSTOCK_LOG_LEVEL", "debug")
    up = UpSettings.of(up_parser().parse_args(["--listen", "[::1]:6000", "--ui", "web"]))
    assert (str(up.listen), str(up.admin), up.ui, up.log_level) == (
        "[::1]:6000",
        "127.0.0.1:7000",
        "web",
        "DEBUG",
    )
    assert not up_parser().parse_args([]).open


def test_flags_are_not_guessed(capsys):
    with pytest.raises(SystemExit):
        up_parser().parse_args(["--lis", ":1"])
    assert "unrecognized arguments" in capsys.readouterr().err


def test_a_word_that_is_no_level(monkeypatch):
    assert log_level_from_environment() == "INFO"
    monkeypatch.setenv("PENSTOCK_LOG_LEVEL", "loud")
    with pytest.raises(StartError, match="PENSTOCK_LOG_LEVEL=LOUD"):
        log_level_from_environment()


def test_the_state_folder_is_made_private_and_left_empty(tmp_path):
    state = tmp_path / "a" / "b"
    make_state_folder(state)
    make_state_folder(state)
    assert state.stat().st_mode & 0o777 == 0o700
    assert list(state.iterdir()) == []


def test_a_state_folder_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("mine")
    for state in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StartError, match="the state folder can't be written: "):
            make_state_folder(state)
    assert (tmp_path / "file").read_text() == "mine"
