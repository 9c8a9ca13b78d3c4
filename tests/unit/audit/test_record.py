"""Records: canonical JSON, and no field in which a client's text could stand."""

import json

import msgspec
import pytest
from audit_house import record
from hypothesis import given
from hypothesis import strategies as st

from penstock.audit.record import Checkpoint, Erased, Opens, Record, Tally, encode, is_tenant, stamp
from penstock.redaction.actions import Action

FREE_TEXT = [
    "Jane Doe",
    "jane@example.com's",
    "078-05-1120 ",
    "a\nb",
    "é",
    "\ud800",
    "x" * 500,
    '"',
    "{}",
    "",
]
TEXTS = [
    field.name for field in msgspec.structs.fields(Record) if field.type is not int and field.type is not bool
]


def test_the_fields_are_these_and_none_is_for_a_value():
    assert Record.__struct_fields__ == (
        *("tenant", "request", "direction", "pointer", "start", "end", "type", "detector", "version"),
        *("checked", "action", "policy", "value_mac"),
    )


@pytest.mark.parametrize("text", FREE_TEXT)
@pytest.mark.parametrize("field", [name for name in TEXTS if name != "pointer"])
def test_no_field_takes_free_text(field, text):
    with pytest.raises(ValueError, match=f"{field} is not a word of ours") as refused:
        record(**{field: text})
    assert not text.strip() or text not in str(refused.value)


@pytest.mark.parametrize("text", ["Jane Doe", None, b"1", "1", 1.0, True])
@pytest.mark.parametrize("field", ["start", "end"])
def test_a_span_is_of_integers(field, text):
    with pytest.raises(TypeError):
        record(**{field: text})


@pytest.mark.parametrize("checked", ["Jane Doe", 1, None])
def test_checked_is_true_or_false(checked):
    with pytest.raises(TypeError):
        record(checked=checked)


@pytest.mark.parametrize(("start", "end"), [(-1, 4), (5, 4), (0, 2**31)])
def test_a_span_is_a_span(start, end):
    with pytest.raises(ValueError, match="span"):
        record(start=start, end=end)


@given(st.text(max_size=400))
def test_whatever_the_pointer_nothing_of_a_clients_text_is_in_the_line(text):
    told = json.loads(encode(record(pointer=f"/metadata/{text}")))
    assert set(told["pointer"].replace("/metadata", "").split("/")) <= {"", "*"} | set(_api_words(text))


def _api_words(text):
    """Parts behind the first name may be words of the API's own; that says nothing of the client's."""
    return [part for part in text.split("/")[1:] if record(pointer=f"/{part}").pointer == f"/{part}"]


@given(st.data())
def test_a_line_is_made_of_a_few_plain_characters(data):
    """Were any field free, some text would bring one of the others in."""
    text = data.draw(st.text())
    for name in TEXTS:
        try:
            line = encode(record(**{name: text}))
        except ValueError:
            continue
        assert set(line.decode()) <= set('{}[]":,._-+@/*$') | set("0123456789") | set(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
        )


def test_a_line_is_canonical_json():
    line = encode(record(3)).decode()
    told = json.loads(line)
    assert line == json.dumps(told, sort_keys=True, separators=(",", ":"))
    assert told["kind"] == "redaction"
    assert told["start"] == 3


def test_an_action_of_the_redaction_is_its_word():
    assert json.loads(encode(record(action=Action.MASK)))["action"] == "mask"


def test_a_record_is_frozen():
    with pytest.raises(AttributeError):
        record().pointer = "/jane"


@pytest.mark.parametrize("count", [0, -1, 2**31, True, "3", 1.0])
def test_a_tally_counts_from_one(count):
    with pytest.raises(ValueError, match="counts"):
        Tally("acme", "EMAIL", count, "0123abcd")


@pytest.mark.parametrize("text", FREE_TEXT)
def test_the_other_kinds_take_no_free_text_either(text):
    for make in (
        lambda: Tally(text, "EMAIL", 1, "0"),
        lambda: Tally("acme", text, 1, "0"),
        lambda: Tally("acme", "EMAIL", 1, text),
        lambda: Erased(text),
    ):
        with pytest.raises(ValueError, match="is not a word of ours"):
            make()


@pytest.mark.parametrize(
    "one", [record(), Tally("a", "IP", 2, "0"), Erased("a"), Opens("0", "1"), Checkpoint(1)], ids=repr
)
def test_every_kind_is_read_as_it_was_written(one):
    kinds = Record | Tally | Erased | Opens | Checkpoint
    assert msgspec.json.decode(encode(one), type=kinds) == one


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.0, "1970-01-01T00:00:00.000Z"),
        (1_800_000_000.5, "2027-01-15T08:00:00.500Z"),
        (1_800_000_000.9996, "2027-01-15T08:00:00.999Z"),
    ],
)
def test_a_stamp_is_iso_in_utc(seconds, told):
    assert stamp(seconds) == told


@given(st.floats(0, 4e9), st.floats(0, 4e9))
def test_stamps_sort_as_times_do(one, other):
    assert one > other or stamp(one) <= stamp(other)


@pytest.mark.parametrize(
    ("name", "good"),
    [("acme", True), ("team-1.eu@x:y", True), ("", False), ("a b", False), ("-a", False), ("x" * 65, False)],
)
def test_tenants_names(name, good):
    assert is_tenant(name) is good
