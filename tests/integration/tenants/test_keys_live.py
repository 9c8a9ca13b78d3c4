"""Keys on two machines with one store: they work and end within a second, and are nowhere to be found."""

import json
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import openai
import pytest
from gateway_process import Gateway
from tests.integration.house.house_parts import SampleThread, ask, chat, files_with, until
from tests.integration.tenants.conftest import PROVIDER_KEY, TENANTS, House, write_policies

from penstock.tenants.key import make

WITHIN_S = 1.0  # what issue 4 promises, from the moment the command has ended


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def house(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, sample: SampleThread
) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("tenants")
    store = f"sqlite:///{folder / 'shared.db'}"
    if request.param == "redis":
        store = request.getfixturevalue("redis").url
    house = House(folder, store, sample.url, write_policies(folder / "policies", sample.url))
    try:
        house.add_gateway()
        house.add_gateway()
        yield house
    finally:
        house.stop()


@pytest.fixture(scope="module")
def value(house: House) -> str:
    """A key of acme."""
    made = house.create("acme", "--project", "search", "--name", "the tests")
    until(lambda: all(works(gateway, made) for gateway in house.gateways), "the key", WITHIN_S)
    return made


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def ask_with(gateway: Gateway, headers: dict[str, str], model: str = "gpt-4o-mini"):
    """Send a chat request with exactly these credentials."""
    told = {"authorization": "", **headers}
    return ask(f"{gateway.base_url}/chat/completions", chat(model=model), told)


def works(gateway: Gateway, key: str) -> bool:
    return ask_with(gateway, bearer(key)).status == 200


def test_a_key_works_on_both_and_the_upstream_gets_only_the_providers(
    house: House, value: str, sample: SampleThread
) -> None:
    sample.running.reset()
    for number, gateway in enumerate(house.gateways):
        for name in ("authorization", "api-key", "x-api-key"):
            header = bearer(value) if name == "authorization" else {name: value}
            body = chat(f"{number} {name}", model="gpt-4o")
            answer = ask(
                f"{gateway.base_url}/chat/completions",
                body,
                {"authorization": "", "x-mine": f"see {value}", **header},
            )
            assert answer.status == 200
    assert sample.calls == 6
    for seen in sample.running.requests:
        assert seen.headers.getall("authorization") == [f"Bearer {PROVIDER_KEY}"]
        assert not [name for name in seen.headers if name.lower() in ("api-key", "x-api-key", "x-mine")]
        assert value not in repr(seen)


def test_the_official_sdk_takes_it_as_its_key(house: House, value: str) -> None:
    for gateway in house.gateways:
        with openai.OpenAI(base_url=gateway.base_url, api_key=value) as sdk:
            asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": f"from {gateway.port}"}]}
            plain = sdk.chat.completions.create(**asked)
            assert plain.choices[0].message.content == f"You said: from {gateway.port}"
            parts = sdk.chat.completions.create(**asked, stream=True)
            told = "".join(part.choices[0].delta.content or "" for part in parts)
            assert told == f"You said: from {gateway.port}"
            assert sdk.models.retrieve("gpt-4o").id == "gpt-4o"
            with pytest.raises(openai.PermissionDeniedError) as refused:
                sdk.files.list()
            assert refused.value.code == "endpoint_not_allowed"


def test_the_official_sdk_is_told_of_a_wrong_key_at_once(house: House, sample: SampleThread) -> None:
    sample.running.reset()
    with (
        openai.OpenAI(base_url=house.gateways[0].base_url, api_key=make()) as sdk,
        pytest.raises(openai.AuthenticationError) as refused,
    ):
        sdk.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
    assert refused.value.code == "invalid_api_key"
    assert sample.calls == 0
    gateway = house.gateways[0]
    until(lambda: any(line["status"] == 401 for line in gateway.exchanges), "the log line")
    line = next(line for line in gateway.exchanges if line["status"] == 401)
    assert (line["tenant"], line["error"]) == ("", "invalid_api_key")
    assert line["decisions"] == {"identify": "refuse"}


def test_all_wrong_keys_get_the_same_bytes_and_headers(
    house: House, value: str, sample: SampleThread
) -> None:
    expired = house.create("acme", "--expires", "1s")
    revoked = house.create("acme")
    assert house.keys("revoke", revoked[9:21]).returncode == 0
    until(lambda: not works(house.gateways[0], expired), "the end of the key")
    until(lambda: not works(house.gateways[0], revoked), "the revocation")
    sample.running.reset()
    wrong = [
        "",
        "x",
        make(),
        value[:-1],
        value + "x",
        value.lower(),
        expired,
        revoked,
        "k" * 20_000,
        PROVIDER_KEY,
    ]
    headers = [bearer(key) for key in wrong] + [
        {name: key} for key in wrong for name in ("api-key", "x-api-key")
    ]
    headers += [{}, {"authorization": value}, {"authorization": f"Basic {value}"}, {"cookie": f"key={value}"}]
    answers = [ask_with(house.gateways[0], each) for each in headers]
    varying = ("x-request-id", "date")
    told = {
        (answer.status, answer.body, tuple((n, v) for n, v in answer.headers.items() if n not in varying))
        for answer in answers
    }
    assert len(told) == 1
    assert (answers[0].status, answers[0].code) == (401, "invalid_api_key")
    assert answers[0].json["error"].keys() == {"message", "type", "param", "code"}
    assert sample.calls == 0


def test_a_revocation_acts_on_both_within_a_second(house: House) -> None:
    made = house.create("acme")
    until(lambda: all(works(gateway, made) for gateway in house.gateways), "the key", WITHIN_S)
    assert house.keys("revoke", made[9:21]).returncode == 0
    until(lambda: not any(works(gateway, made) for gateway in house.gateways), "the revocation", WITHIN_S)
    assert ask_with(house.gateways[1], bearer(made)).status == 401


def test_a_rotation_with_and_without_a_grace(house: House) -> None:
    first = house.create("acme", "--user", "ada")
    assert house.keys("rotate", first[9:21], "--grace", "1h").returncode == 0
    second = house.made[-1]
    until(lambda: all(works(gateway, second) for gateway in house.gateways), "the new key", WITHIN_S)
    assert all(works(gateway, first) for gateway in house.gateways)
    assert ask_with(house.gateways[0], bearer(second), "gpt-4o").code == "model_not_allowed"
    assert house.keys("rotate", second[9:21]).returncode == 0
    third = house.made[-1]
    until(lambda: all(works(gateway, third) for gateway in house.gateways), "the new key", WITHIN_S)
    until(lambda: not any(works(gateway, second) for gateway in house.gateways), "the old end", WITHIN_S)
    assert works(house.gateways[0], first)


def test_a_tenant_sees_and_uses_its_own_models_only(house: House, sample: SampleThread) -> None:
    made = house.create("strict")
    gateway = house.gateways[1]
    until(lambda: works(gateway, made), "the key", WITHIN_S)
    listed = ask(f"{gateway.base_url}/models", headers=bearer(made)).json
    assert [each["id"] for each in listed["data"]] == ["gpt-4o", "gpt-4o-mini"]
    sample.running.reset()
    answer = ask_with(gateway, bearer(made), "gpt-4.1")
    assert (answer.status, answer.code) == (403, "model_not_allowed")
    assert answer.json["error"]["message"] == "This model is not allowed for the tenant."
    assert sample.calls == 0


def test_tenants_do_not_share_cached_answers_but_keys_of_one_do(house: House, sample: SampleThread) -> None:
    keys = [house.create("acme"), house.create("acme"), house.create("strict")]
    gateway = house.gateways[0]
    until(lambda: all(works(gateway, key) for key in keys), "the keys", WITHIN_S)
    url, body = f"{gateway.base_url}/chat/completions", chat("whose is it?", model="gpt-4o")
    answers = [ask(url, body, bearer(key)).cache for key in keys]
    assert answers == ["miss", "hit", "miss"]


def test_last_use_is_listed(house: House, value: str) -> None:
    assert works(house.gateways[0], value)

    def last_use() -> str | None:
        rows = json.loads(house.keys("list", "--json").stdout)
        return next(row["last_use"] for row in rows if row["id"] == value[9:21])

    until(last_use, "the last use", within_s=30)


async def test_a_websocket_needs_a_key_and_leaves_it_behind(
    house: House, value: str, sample: SampleThread
) -> None:
    gateway = house.gateways[0]
    policy = house.policies / "identify.yaml"
    written = policy.read_text()
    socket_url = gateway.base_url + "/realtime?model=gpt-realtime"
    protocols = ("realtime", f"openai-insecure-api-key.{value}")
    async with aiohttp.ClientSession() as session:
        for headers, status in (({}, 401), (bearer(make()), 401), (bearer(value), 403)):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(socket_url, headers=headers)
            assert refused.value.status == status
        policy.write_text("other_endpoints: allow\n")
        try:
            until(
                lambda: (
                    ask(f"{gateway.base_url}/files", headers=bearer(value)).code != "endpoint_not_allowed"
                ),
                "the policy",
            )
            sample.running.reset()
            async with session.ws_connect(socket_url, headers=bearer(value), protocols=protocols) as socket:
                await socket.send_str("hello")
                assert await socket.receive_str(timeout=5) == "hello"
        finally:
            policy.write_text(written)
    (seen,) = sample.running.requests
    assert seen.headers["authorization"] == f"Bearer {PROVIDER_KEY}"
    assert value not in repr(seen)


def test_without_a_tenant_left_the_gateway_does_not_open(house: House, value: str) -> None:
    gateway = house.gateways[0]
    policy = house.policies / "tenants.yaml"
    policy.write_text("tenants: {}\n")
    try:
        until(
            lambda: any("the last tenant is gone" in line.get("message", "") for line in gateway.log),
            "the refusal of the policies",
        )
        assert ask_with(gateway, {}).status == 401
        assert works(gateway, value)
    finally:
        policy.write_text(TENANTS)


def test_nothing_of_any_key_is_anywhere_on_disk_or_in_the_log(house: House, value: str) -> None:
    for key in [value, *house.made]:
        secret = key[21:].encode()
        assert files_with(house.folder, secret) == []
        for gateway in house.gateways:
            told = "\n".join([*map(json.dumps, gateway.log), *gateway.noise, *gateway.out])
            assert key[21:] not in told
    assert files_with(house.folder, PROVIDER_KEY.encode()) == []


def test_who_may_read_the_store_learns_no_name(house: House) -> None:
    """Of what is kept for keys; cache spaces are named after tenants."""
    for name in (b"the tests", b"search"):
        found = [path for path in files_with(house.folder, name) if "policies" not in Path(path).parts]
        assert found == []
