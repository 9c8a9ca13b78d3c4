"""What is wrong at the start: exit code 2, one clear message, nothing left running."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from gateway_process import free_port
from tests.integration.house.house_parts import SHIPPED

TYPOS = {
    "cache": "ttl_s: 3600\nmax_temprature: 1.0\nreplay: {pace: fast}\n",
    "ephemeral": "on_failure: yes\n",
}


@pytest.fixture
def typos(tmp_path):
    """Policies with three mistakes in two files."""
    folder = tmp_path / "typos"
    shutil.copytree(SHIPPED, folder, ignore=shutil.ignore_patterns("*_test.yaml"))
    for name, text in TYPOS.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder


@pytest.fixture
def up(tmp_path):
    """Run `penstock up` with these options until it ends by itself; give code, stdout and stderr."""

    def run(*options, env=None):
        command = [sys.executable, "-m", "penstock", "up"]
        given = {"--listen": f"127.0.0.1:{free_port()}", "--admin": f"127.0.0.1:{free_port()}"}
        given["--state"] = str(tmp_path / "state")
        for flag, value in given.items():
            if flag not in options:
                command += [flag, value]
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PENSTOCK_")}
        child = subprocess.Popen(
            [*command, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**inherited, **(env or {})},
            start_new_session=True,
        )
        try:
            out, err = child.communicate(timeout=40)
        finally:
            left = left_running(child.pid)
        assert left is False, "something of it still runs"
        return child.returncode, out, err

    return run


def left_running(group):
    """End what is left of a process group; say whether there was anything."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def taken_port():
    taken = socket.create_server(("127.0.0.1", 0))
    return taken, taken.getsockname()[1]


@pytest.mark.parametrize("flag", ["--listen", "--admin"])
def test_a_port_in_use(up, flag):
    taken, port = taken_port()
    with closing(taken):
        code, out, err = up(flag, f"127.0.0.1:{port}")
    assert (code, out) == (2, "")
    assert err == f"{flag} 127.0.0.1:{port}: Address already in use\n"


def test_a_state_folder_that_cannot_be_written(up, tmp_path):
    in_the_way = tmp_path / "a file"
    in_the_way.write_text("mine")
    for state, why in ((in_the_way, "File exists"), (in_the_way / "below", "Not a directory")):
        code, out, err = up("--state", str(state))
        assert (code, out) == (2, "")
        assert err == f"{state}: the state folder can't be written: {why}\n"
    assert in_the_way.read_text() == "mine"


def test_policies_with_typos(up, typos):
    code, out, err = up("--policies", str(typos))
    assert (code, out) == (2, "")
    assert err.splitlines() == [
        f"{typos}/cache.yaml:2:1: unknown key 'max_temprature'",
        "     2 | max_temprature: 1.0",
        "       | ^^^^^^^^^^^^^^",
        "       = did you mean 'max_temperature'?",
        f"{typos}/cache.yaml:3:16: replay.pace: expected 'at_once' or 'paced', got 'fast'",
        "     3 | replay: {pace: fast}",
        "       |                ^^^^",
        f"{typos}/ephemeral.yaml:1:13: on_failure: a boolean to some YAML readers and text to others",
        "     1 | on_failure: yes",
        "       |             ^^^",
        "       = write true or false, or put it in quotes",
    ]


def test_an_order_that_makes_no_sense(up, typos):
    for name in TYPOS:
        (typos / f"{name}.yaml").write_text("")
    (typos / "chain.yaml").write_text("order: [cache, identify, upstream]\n")
    code, _, err = up("--policies", str(typos))
    assert code == 2
    assert f"{typos}/chain.yaml:1:9: order[0]: 'cache' must stand after 'identify'" in err


def test_a_missing_policy_folder(up, tmp_path):
    code, out, err = up("--policies", str(tmp_path / "nowhere"))
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert str(tmp_path / "nowhere") in err


def test_a_keyring_that_others_may_read(up, tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    key = state / "keyring.key"
    key.write_bytes(bytes(32))
    key.chmod(0o644)
    code, out, err = up()
    assert (code, out) == (2, "")
    assert err == f"{key}: others may read it; run: chmod 600 {key}\n"


def test_a_database_of_garbage(up, tmp_path):
    state = tmp_path / "state"
    state.mkdir()
    garbage = b"this is no database" * 400
    (state / "penstock.db").write_bytes(garbage)
    code, out, err = up()
    assert (code, out) == (2, "")
    assert err == f"{state}/penstock.db: it is not a SQLite database\n"
    assert (state / "penstock.db").read_bytes() == garbage


@pytest.mark.parametrize(
    ("options", "env", "said"),
    [
        (["--store", "mysql://user:s3cret@host/db"], {}, "the store's URL must be one of: sqlite:///"),
        (["--store", "redis://user:s3cret@host:notaport"], {}, "the store's URL can't be read"),
        (["--upstream", "ftp://s3cret"], {}, "an upstream's url is http://HOST[:PORT][/PATH]"),
        ([], {"PENSTOCK_LOG_LEVEL": "LOUD"}, "PENSTOCK_LOG_LEVEL=LOUD: use DEBUG, INFO, WARNING"),
        (["--listen", "0.0.0.0:18080"], {}, "other machines reach this address and no tenants"),
        (["--listen", "nonsense"], {}, "argument --listen: 'nonsense' is not HOST:PORT"),
        (["--lisetn", "127.0.0.1:1"], {}, "unrecognized arguments: --lisetn 127.0.0.1:1"),
        (["--ui", "fancy"], {}, "argument --ui: invalid choice: 'fancy'"),
    ],
)
def test_an_option_that_makes_no_sense(up, options, env, said):
    code, out, err = up(*options, env=env)
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err
    if "--store" in options:
        assert "s3cret" not in err


def test_an_unknown_verb(tmp_path):
    command = [sys.executable, "-m", "penstock", "start"]
    told = subprocess.run(command, capture_output=True, text=True, timeout=40, check=False, cwd=tmp_path)
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr.startswith("penstock: unknown verb 'start'\n")
    assert "explain" in told.stderr
    assert list(tmp_path.iterdir()) == []


def test_two_gateways_that_start_at_once_on_one_state_folder_agree_on_a_key(tmp_path):
    """The key is made whole or not at all, whoever is first."""
    from penstock.stores.keyring import Keyring

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: Keyring.in_folder(tmp_path).mac("p", b"x"), range(8)))
    assert len(set(made)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["keyring.key"]
