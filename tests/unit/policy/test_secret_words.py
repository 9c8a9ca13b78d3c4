import pytest

from penstock.policy.secret_words import masked, masked_lines, secret_key, secret_value


@pytest.mark.parametrize(
    "key",
    [
        *("api_key", "apiKey", "API_KEY", "apikey", "key", "keys", "token", "clientSecret", "password"),
        *("Authorization", "private-key", "db.password", "access_token", "pepper"),
    ],
)
def test_these_keys_promise_a_secret(key: str) -> None:
    assert secret_key(key)


@pytest.mark.parametrize(
    "key", ["max_tokens", "tokens_per_minute", "keyboard", "monkey", "ttl_s", "secretary", "tokenizer", ""]
)
def test_these_keys_promise_none(key: str) -> None:
    assert not secret_key(key)


@pytest.mark.parametrize(
    ("value", "secret"),
    [("sk-abc", True), ("Bearer abc", True), ("risk-free", False), ("env:KEY", False), ("bearer", False)],
)
def test_providers_keys_are_known_by_their_beginning(value: str, secret: bool) -> None:
    assert secret_value(value) is secret


def test_a_mask_keeps_the_length_and_the_blanks() -> None:
    assert masked("a: b c d", 3, 6) == "a: * * d"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("api_key: hush", "api_key: ****"),
        ("  - api_key: hush", "  - api_key: ****"),
        ("{a: 1, api_key: hush, b: 2}", "{a: 1, api_key: ***** ** **"),
        ('"api_key": "hush"', '"api_key": ******'),
        ("api_key: |\n  hush\n\n  hush\nb: 1", "api_key: *\n  ****\n\n  ****\nb: 1"),
        ("api_keys:\n- hush\n- hush\nb: 1", "api_keys:\n* ****\n* ****\nb: 1"),
        ("plain: value", "plain: value"),
        ("x: sk-hush, y", "x: *******, y"),
        ("max_tokens: 5", "max_tokens: 5"),
    ],
)
def test_a_text_that_is_no_yaml_is_masked_line_by_line(text: str, shown: str) -> None:
    assert "\n".join(masked_lines(text.split("\n"))) == shown
