"""Headers keep their order, their repetitions and their text between mitmproxy's bytes and ours."""

from hypothesis import given, settings
from hypothesis import strategies as st
from mitmproxy import http
from mitmproxy.test import tutils
from multidict import CIMultiDict

from penstock.proxy.headers import decoded, encoded

names = st.text("abcXYZ-", min_size=1, max_size=6)
values = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=8)


@settings(deadline=None)
@given(st.lists(st.tuples(names, values), max_size=6))
def test_what_goes_out_comes_in_again(fields: list[tuple[str, str]]) -> None:
    request = tutils.treq(headers=encoded(CIMultiDict(fields)))
    assert list(decoded(request).items()) == fields


def test_bytes_that_are_no_utf8_are_replaced_and_break_nothing() -> None:
    request = tutils.treq(headers=http.Headers([(b"x-\xe9", b"caf\xe9")]))
    assert list(decoded(request).items()) == [("x-é", "caf\ufffd")]


def test_bytes_that_aiohttp_escaped_go_out_as_they_came() -> None:
    assert encoded(CIMultiDict({"x": "caf\udce9"})).fields == ((b"x", b"caf\xe9"),)
