import re

import pytest

from penstock.sample import faults


@pytest.mark.parametrize("name", faults.TABLE)
def test_every_name_of_the_table_is_found(name: str):
    asked = re.sub("-K$", "-12", name)
    assert faults.find(asked) == (faults.TABLE[name], 12 if name.endswith("-K") else 0)


@pytest.mark.parametrize(
    "name", ["", "nothing", "cut-", "cut-x", "cut", "cut--1", "cut-K", "429-9", "hang-1-2", "500-"]
)
def test_other_names_are_not(name: str):
    assert faults.find(name) is None


def test_a_number_belongs_to_the_longest_name():
    assert faults.find("error-event-3") == (faults.TABLE["error-event-K"], 3)
    assert faults.find("error-3") == (faults.TABLE["error-K"], 3)
    assert faults.find("429-after-90") == (faults.TABLE["429-after-K"], 90)


def test_the_listing_has_every_fault_with_its_description():
    lines = faults.listing().splitlines()
    assert len(lines) == len(faults.TABLE) + 2
    for line, (name, fault) in zip(lines, faults.TABLE.items(), strict=False):
        assert line.split(maxsplit=1) == [name, fault.description]
    assert lines[-2].startswith("flaky-N-")
    assert "model fault-NAME" in lines[-1]
    assert "/fault/NAME/v1" in lines[-1]


def test_descriptions_are_short():
    assert all(0 < len(fault.description) <= 80 for fault in faults.TABLE.values())
