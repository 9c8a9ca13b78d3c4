"""Values that stand among thousands of look-alikes: the short cuts through floods must not pass them over."""

# ruff: noqa: E501 (values are written as they occur)

import pytest
from detect_kit import engine, found

from penstock.detect import DetectConfig, Engine
from penstock.detect.rules.number_kinds import FORMS, WRITTEN
from penstock.detect.rules.secrets.strength import kinds
from penstock.detect.source import Source

# Written so, each of these needs no word.
SPEAKING = (
    "219-09-9999", "529.982.247-25", "11.444.777/0001-61", "756.9217.0769.85", "736028/5163", "900101-1234568", "85.07.30-033.28",
    "255081416802538", "20-05536168-2", "19811228-9874", "11010519491231002X", "1-1017-00230-70-8",
)  # fmt: skip
FLOODS = ("1234567 ", "555-123-456 ", "4111 ", "1.1.1.1 ", "1 ", "12/03/1999 ", "a1 ")


@pytest.mark.parametrize("value", SPEAKING)
@pytest.mark.parametrize("flood", FLOODS)
def test_a_number_that_speaks_for_itself_is_found_in_a_flood(value, flood):
    if "/" in value or " " in value:
        flood = flood.strip() + ", "  # on its own: neighbouring columns run together
    text = f"{flood * 50}x {value} x {flood * 50}"
    assert value in [item for _, item in found(text)]


def test_each_written_form_is_known():
    assert {kind.id for kinds_ in WRITTEN.values() for _, kind in kinds_} == {
        kind.id for kind in FORMS.values()
    }


def test_a_number_without_a_word_stays_quiet_and_with_one_is_found():
    numbers = "7654321 7654322\n7654323, 8765432 " * 30
    assert found(numbers) == []
    assert ("PASSPORT", "912803456") in found(f"{numbers} passport 912803456 {numbers}")
    assert ("PHONE", "7946095") in found(f"{numbers} so on and so on and so on phone 7946095, then {numbers}")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mac 00:1b:63:84:45:e6.", ["00:1b:63:84:45:e6"]),
        ("mac 00-1B-63-84-45-E6\n", ["00-1B-63-84-45-E6"]),
        ("print 00:1b:63:84:45:e6:77:12:00:1b:63:84", []),
        ("00:11:" * 400, []),
        ("x00:1b:63:84:45:e6", []),
        ("00:1b:63:84:45:e6f", []),
    ],
)
def test_a_mac_address_is_six_pairs_and_no_part_of_a_dump(text, expected):
    assert [value for type, value in found(text) if type == "MAC"] == expected


@pytest.mark.parametrize("left", ["", " ", "(", "\n", ",", "-", ".", "a", "a-", "5.", "_", "x_", "7"])
@pytest.mark.parametrize("right", ["", " ", ")", ",", ".", ".5", "a", "_", "_x", ".x"])
def test_an_ip_address_ends_where_it_ends(left, right):
    whole = left not in ("a", "a-", "5.", "x_", "7") and right not in (".5", "a", "_x")
    assert (("IP", "10.20.30.40") in found(f"{left}10.20.30.40{right}")) == whole


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("password=x7K!aa9z password=x7K!bb9z", ["x7K!aa9z", "x7K!bb9z"]),
        ("password=k4password=x9 password = 'Zq!9rrt7'", ["k4password=x9", "Zq!9rrt7"]),
        ("password=a9!password secret = hunter2Z99x", ["a9!password", "hunter2Z99x"]),
        ("password='two words 9!'; password=\"aB3!xyz9\"", ["aB3!xyz9"]),
        ("password=" + "aB3!" * 5000, ["aB3!" * 5000]),
    ],
)
def test_assigned_values_follow_each_other(text, expected):
    assert [value for type, value in found(text) if type == "SECRET"] == expected


@pytest.mark.parametrize(
    ("text", "count"),
    [("", 0), ("a", 1), ("aB", 2), ("aB3", 3), ("aB3!", 4), ("\xe9\xc9\xb2", 3), ("-_.", 0)],
)
def test_kinds_of_characters(text, count):
    assert kinds(text) == count


def test_bounded_looks_at_both_neighbours():
    source = Source("a12 34_b (56) \xe978 _90_ __ 31_")
    spans = {"12": False, "34": False, "56": True, "78": False, "90": True, "31": True}
    assert {v: source.bounded(at := source.plain.index(v), at + 2) for v in spans} == spans


def test_a_choosy_configuration_gives_a_part_of_what_the_default_gives():
    text = "jane@example.org, 10.0.0.1, passport X1234567, card 4111 1111 1111 1111, born 01/02/1990 " * 9
    every = engine().find(text)
    for config in (
        DetectConfig(default_threshold=0.9),
        DetectConfig(thresholds={"IP": 0.99}),
        DetectConfig(types=frozenset({"EMAIL", "IP"})),
        DetectConfig(allow=frozenset({"10.0.0.1"})),
    ):
        some = Engine(config).find(text)
        assert some
        assert len(some) < len(every)
        assert set(some) < set(every)
    assert Engine(DetectConfig(default_threshold=0.1, thresholds={"IP": 0.2})).find(text) == every
