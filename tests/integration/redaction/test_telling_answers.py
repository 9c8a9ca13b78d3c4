"""Answers in which an upstream says other people's values: none of them reaches a client."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from gateway_process import Gateway
from tests.integration.house.house_parts import SHIPPED, ask
from tests.integration.redaction.canaries import ALL, leaks
from tests.integration.redaction.telling_upstream import HEADERS, WAYS, TellingUpstream

PATHS = ("/chat/completions", "/responses", "/completions")
STREAMS = ("stream", "lines", "long", "error", "error-event")


@pytest.fixture(scope="module")
def upstream() -> Iterator[TellingUpstream]:
    made = TellingUpstream()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def start(
    tmp_path_factory: pytest.TempPathFactory, upstream: TellingUpstream
) -> Iterator[Callable[..., Gateway]]:
    made: list[Gateway] = []

    def make(direction: str) -> Gateway:
        folder = tmp_path_factory.mktemp("telling") / "policies"
        folder.mkdir()
        for path in SHIPPED.glob("*.yaml"):
            if not path.name.endswith("_test.yaml"):
                (folder / path.name).write_text(path.read_text())
        (folder / "chain.yaml").write_text("order: [identify, ephemeral, redaction, cache, upstream]\n")
        (folder / "redaction.yaml").write_text(f"direction: {direction}\n")
        (folder / "upstreams.yaml").write_text(f"default: it\nupstreams:\n  it: {{url: '{upstream.url}'}}\n")
        made.append(Gateway(folder.parent / "state", upstream.url, folder).start())
        return made[-1]

    yield make
    for gateway in made:
        gateway.stop()


@pytest.fixture(scope="module")
def reading(start: Callable[..., Gateway]) -> Gateway:
    return start("both")


def body(path: str, way: str) -> dict[str, object]:
    asked = {"model": f"telling-{way}", "stream": way in STREAMS}
    if path == "/responses":
        return {**asked, "input": "hello"}
    return {**asked, **({"prompt": "hello"} if path == "/completions" else {"messages": []})}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("path", PATHS)
def test_nothing_that_an_upstream_says_of_others_comes_through(reading: Gateway, path: str, way: str) -> None:
    answer = ask(f"{reading.base_url}{path}", body(path, way))
    headers = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
    assert leaks({"the headers": headers.encode(), "the body": answer.body}) == []
    assert answer.body
    assert not set(HEADERS.values()) & set(answer.headers.values())


def test_and_no_file_of_the_gateway_s_has_it(reading: Gateway) -> None:
    kept = {str(path): path.read_bytes() for path in Path(reading.state).rglob("*") if path.is_file()}
    assert any("audit" in name for name in kept)
    assert leaks({**kept, "stderr": json.dumps(reading.log).encode()}) == []


def test_a_gateway_that_does_not_read_answers_lets_all_of_it_through(start: Callable[..., Gateway]) -> None:
    """The proof's control: the upstream does say it."""
    told = ask(f"{start('request').base_url}/chat/completions", body("/chat/completions", "plain"))
    assert told.json["choices"][0]["message"]["content"] == ALL
    assert told.headers["x-answered-for"] == HEADERS["x-answered-for"]
