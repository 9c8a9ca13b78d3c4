import re

from penstock.cli import sample_upstream
from penstock.sample import faults


def test_the_list_names_every_fault(run):
    told = run("sample-upstream", "--list")
    assert (told.code, told.err) == (0, "")
    assert told.out == faults.listing() + "\n"
    names = [line.split()[0] for line in told.out.splitlines()]
    assert {"429", "hang", "cut-K", "html", "drip"} <= set(names)
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"\S+ +\S.*", line) for line in told.out.splitlines())


def test_an_address_that_is_none(run):
    told = run("sample-upstream", "--listen", "here")
    assert (told.code, told.out) == (2, "")
    assert "'here' is not HOST:PORT" in told.err


def test_a_time_that_is_none(run):
    assert run("sample-upstream", "--first-ms", "soon").code == 2
    assert sample_upstream.run(["--list"]) == 0
