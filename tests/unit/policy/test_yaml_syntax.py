import pytest
import yaml

from penstock.policy.yaml_syntax import ANCHORS, TAB, TAGS, explain_syntax


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("a: 1\n\tb: 2\n", TAB, 1),
        ("a: b: c\n", "a ':' can't stand here", 0),
        ("a: 'x\nb: 2\n", "this quote is never closed", 0),
        ("'a\n---\n'", "this quote is never closed", 0),
        ("a: {b: c\n\n\n", "this bracket is never closed", 0),
        ("a: [1, 2\n", "this bracket is never closed", 0),
        ("a: [1 }\n", "expected ',' or ']' here", 0),
        ("{a: 1 ]\n", "expected ',' or '}' here", 0),
        ("a: 1\nb\n\n\n", "expected a ':' after this key", 1),
        ("- a\nb: 1\n", "this does not fit the lines above", 1),
        (" a: 1\nb: 2\n", "this does not fit the lines above", 1),
        ("a: `x`\n", "an unquoted value can't start with this character", 0),
        ('a: "\\q"\n', "an unknown escape in double quotes", 0),
        ("a: }\n", "a value is missing here", 0),
        ("a: |x\n", "a text block begins on the line after its | or >", 0),
        ("a: !hush!x y\n", TAGS[0], 0),
        ("a: !<hush\n", TAGS[0], 0),
        ("a: &\n", ANCHORS[0], 0),
        ("a: *\n", ANCHORS[0], 0),
        ("%YAML 2.0\n---\n", "this is not valid YAML", 0),
    ],
)
def test_syntax_errors_are_told_in_our_words_where_they_are_to_be_mended(
    text: str, message: str, line: int
) -> None:
    with pytest.raises(yaml.MarkedYAMLError) as error:
        yaml.compose(text)
    broken = explain_syntax(error.value)

    assert broken.message == message
    assert broken.mark is not None
    assert broken.mark.line == line
    assert "hush" not in broken.message + (broken.remedy or "")
