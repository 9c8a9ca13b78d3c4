"""How an upstream is reached: its URL as the client wrote it, its proxy, and secrets that no error shows."""

from pathlib import Path

import pytest
from yarl import URL

from penstock.errors import StartError
from penstock.upstream.client import Connection
from penstock.upstream.policy import Auth, Upstream

PROXIES = ("http_proxy", "https_proxy", "no_proxy", "all_proxy")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXIES, *map(str.upper, PROXIES)):
        monkeypatch.delenv(name, raising=False)


def connection(url: str = "http://h.invalid/v1", **settings: object) -> Connection:
    return Connection(Upstream.model_validate({"url": url, **settings}))


@pytest.mark.parametrize(
    ("path", "query", "configured", "url"),
    [
        ("/chat/completions", "", {}, "/v1/chat/completions"),
        ("/files", "a=1", {}, "/v1/files?a=1"),
        ("/files", "", {"api-version": "2025-01-01"}, "/v1/files?api-version=2025-01-01"),
        ("/files", "a=1", {"b": "x y&z", "c": "é"}, "/v1/files?a=1&b=x%20y%26z&c=%C3%A9"),
        ("/files/a%2Fb%20c/%7Ex", "q=%41+b&q=%2B", {}, "/v1/files/a%2Fb%20c/%7Ex?q=%41+b&q=%2B"),
        ("/files//x/", "&&", {}, "/v1/files//x/?&&"),
        ("", "", {}, "/v1"),
    ],
)
def test_nothing_the_client_sent_is_decoded_or_normalised(
    path: str, query: str, configured: dict[str, str], url: str
) -> None:
    made = connection(query=configured).url(path, query, "m")
    assert str(made) == f"http://h.invalid{url}"
    assert made.raw_path_qs == url


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gpt-5", "/gpt-5/v1/x"),
        ("a/b c?d#e", "/a%2Fb%20c%3Fd%23e/v1/x"),
        ("../../admin", "/..%2F..%2Fadmin/v1/x"),
        ("half \ud83d", "/half%20%3F/v1/x"),
        (None, "//v1/x"),
    ],
)
def test_a_model_in_the_url_is_one_segment_whatever_it_holds(model: str | None, path: str) -> None:
    made = connection("http://h.invalid/{model}/v1").url("/x", "", model)
    assert made.raw_path == path
    assert (made.host, made.raw_query_string, made.raw_fragment) == ("h.invalid", "", "")


# Proxies


def test_without_the_environment_there_is_no_proxy() -> None:
    assert connection("https://h.invalid/v1").proxy is None


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
def test_https_proxy_is_obeyed_for_https_only(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "http://proxy.invalid:3128")
    assert connection("https://h.invalid/v1").proxy == URL("http://proxy.invalid:3128")
    assert connection("http://h.invalid/v1").proxy is None


def test_a_proxy_without_a_scheme_is_an_http_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "proxy.invalid:3128")
    assert connection("https://h.invalid/v1").proxy == URL("http://proxy.invalid:3128")


@pytest.mark.parametrize("no_proxy", ["h.invalid", ".invalid", "other,h.invalid", "*", "h.invalid:8443"])
def test_no_proxy_is_obeyed(monkeypatch: pytest.MonkeyPatch, no_proxy: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    monkeypatch.setenv("NO_PROXY", no_proxy)
    assert connection("https://h.invalid:8443/v1").proxy is None
    if no_proxy != "*":
        assert connection("https://elsewhere.example/v1").proxy is not None


def test_an_upstream_may_go_without_the_environments_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    assert connection("https://h.invalid/v1", proxy="none").proxy is None


# Secrets


def test_secrets_come_from_environment_or_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PENSTOCK_TEST_KEY", "sk-1")
    (tmp_path / "key").write_text(" sk-2\n")
    made = connection(
        auth=Auth(key="env:PENSTOCK_TEST_KEY"),
        headers={"x-a": f"file:{tmp_path / 'key'}", "x-b": "plain", "x-c": "environment"},
    )
    assert made.key == "sk-1"
    assert made.headers == {"x-a": "sk-2", "x-b": "plain", "x-c": "environment"}
    assert connection().key is None


def test_a_ca_or_certificate_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("no certificate")
    gone = tmp_path / "gone.pem"
    for setting, path in (("ca_file", junk), ("ca_file", gone), ("client_cert_file", junk)):
        with pytest.raises(StartError) as problem:
            connection("https://h.invalid/v1", **{setting: str(path)})
        assert str(path) in str(problem.value)


def test_a_plain_url_needs_no_certificates() -> None:
    assert connection("http://h.invalid/v1", ca_file="/nonexistent").ssl is True
