"""identify: in open mode everyone is `default`; with tenants a living key says who, and what it may use."""

import hmac
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from multidict import CIMultiDict

from penstock import testing
from penstock.chain import Chain
from penstock.errors import Refusal, StartError, StoreUnavailable
from penstock.exchange import Decision, Exchange
from penstock.openai.request import request_of
from penstock.policy.base import PolicySet
from penstock.reply import Reply, Stream
from penstock.stage import Resources
from penstock.stages.identify import Identify, IdentifyPolicy
from penstock.tenants import table as tables
from penstock.tenants.book import KeyBook
from penstock.tenants.key import KEYS, make
from penstock.tenants.policy import Group, Tenant, TenantsPolicy

TENANTS = TenantsPolicy(
    tenants={
        "acme": Tenant(
            projects={"search": Group(models=("small", "big")), "free": Group()},
            users={"ada": Group(models=("small",))},
        ),
        "strict": Tenant(models=("small", "org/big")),
    }
)
HEADERS: tuple[Callable[[str], dict[str, str]], ...] = (
    lambda key: {"Authorization": f"Bearer {key}"},
    lambda key: {"api-key": key},
    lambda key: {"X-API-Key": key},
)


@dataclass
class House:
    """A started stage, its book of keys, and what it lives on."""

    stage: Identify
    book: KeyBook
    resources: Resources
    clock: testing.FrozenClock
    policies: PolicySet

    async def send(
        self,
        headers: Mapping[str, str],
        path: str = "/v1/chat/completions",
        answer: Callable[[], Reply] | None = None,
        method: str = "POST",
        tenants: TenantsPolicy = TENANTS,
        **body: Any,
    ) -> tuple[Exchange, Reply]:
        given = {"model": "small", "messages": [], **body} if method == "POST" else None
        raw = json.dumps(given).encode() if given else b""
        request = request_of(method, path, CIMultiDict(headers), raw)
        exchange = Exchange(request, self.policies.replacing(tenants))
        upstream = testing.FakeUpstream(answer or testing.chat("hi"))
        reply = await testing.run_stage(self.stage, exchange, upstream)
        assert upstream.calls == 1
        return exchange, reply

    async def refusal(self, headers: Mapping[str, str], **request: Any) -> Refusal:
        with pytest.raises(Refusal) as refused:
            await self.send(headers, **request)
        return refused.value


@pytest.fixture
async def house():
    clock = testing.FrozenClock()
    resources = testing.resources(clock=clock)
    stage = Identify()
    await stage.start(resources)
    policies = testing.policies(TENANTS, IdentifyPolicy())
    yield House(stage, KeyBook(resources.records, resources.keyring, clock), resources, clock, policies)
    await stage.stop()


def bearer(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def look(house: House) -> None:
    table = house.stage._table
    assert table is not None
    await table.look()


async def key(house: House, *holder: str, **more: Any) -> str:
    made = await house.book.create(*holder, **more)
    await look(house)
    return made.value


# Open mode


@pytest.mark.parametrize(
    ("headers", "found"),
    [
        ({"Authorization": "Bearer sk-1"}, "sk-1"),
        ({"Authorization": "bEARER   sk-1 "}, "sk-1"),
        ({"api-key": "az-1"}, "az-1"),
        ({"X-API-Key": "x-1"}, "x-1"),
        ({"Authorization": "Bearer sk-1", "api-key": "az-1"}, "sk-1"),
        ({"Authorization": "Basic dXNlcjpwYXNz", "api-key": "az-1"}, "az-1"),
        ({"Authorization": "Basic dXNlcjpwYXNz"}, None),
        ({"Authorization": "Bearer "}, None),
        ({"Authorization": "Bearer"}, None),
        ({"Authorization": "sk-1"}, None),
        ({}, None),
    ],
)
async def test_in_open_mode_the_clients_key_is_found(headers: dict[str, str], found: str | None) -> None:
    exchange = testing.exchange(headers=headers)
    await testing.run_stage(Identify(), exchange, testing.FakeUpstream(testing.chat("hi")))
    assert exchange.client_key == found


async def test_in_open_mode_everyone_is_the_default_tenant() -> None:
    exchange = testing.exchange(headers={"Authorization": "Bearer sk-1"})
    upstream = testing.FakeUpstream(testing.chat("hi"))
    await testing.run_stage(Identify(), exchange, upstream)
    assert (exchange.tenant, exchange.project, exchange.user, exchange.key_id) == ("default", "", "", "")
    assert exchange.decisions == [Decision("identify", "open", "tenant default")]
    assert upstream.calls == 1


async def test_what_it_would_do_is_what_it_does_and_never_tells_the_key() -> None:
    exchange = testing.exchange(headers={"Authorization": "Bearer sk-secret"}, given=[TenantsPolicy()])
    planned = Identify().plan(exchange)
    await testing.run_stage(Identify(), exchange, testing.FakeUpstream(testing.chat("hi")))
    assert exchange.decisions == [planned]
    assert "secret" not in repr(exchange.decisions)


async def test_in_open_mode_any_endpoint_passes_and_no_store_is_asked(house: House) -> None:
    exchange, _ = await house.send({}, "/v1/files", tenants=TenantsPolicy())
    assert exchange.tenant == "default"
    assert house.stage._table is not None
    assert house.stage._table._following is None


def test_it_may_not_be_skipped() -> None:
    assert Identify.skippable is False


# Keys


@pytest.mark.parametrize("header", HEADERS, ids=["bearer", "api-key", "x-api-key"])
async def test_a_key_in_any_header_names_its_holder(
    house: House, header: Callable[[str], dict[str, str]]
) -> None:
    value = await key(house, "acme", "search", "ada")
    exchange, reply = await house.send(header(value))
    assert reply.status == 200
    assert (exchange.tenant, exchange.project, exchange.user) == ("acme", "search", "ada")
    assert exchange.key_id == value[9:21]
    assert exchange.decisions == [Decision("identify", "keyed", f"tenant acme, key {value[9:21]}")]


async def test_the_key_is_off_the_exchange_wherever_it_stood(house: House) -> None:
    value = await key(house, "acme")
    headers = {
        "authorization": f"Bearer {value}",
        "api-key": "other",
        "x-api-key": value,
        "sec-websocket-protocol": f"realtime, openai-insecure-api-key.{value}",
        "x-mine": f"({value})",
        "x-other": "stays",
    }
    exchange, _ = await house.send(headers)
    assert exchange.client_key is None
    assert dict(exchange.request.headers) == {"x-other": "stays"}
    assert value not in repr(exchange)
    assert value[21:] not in repr(exchange)


async def dead(house: House, case: str) -> dict[str, Any]:
    """Give a request that must not be told from any other that has no good key."""
    match case:
        case "missing":
            return {"headers": {}}
        case "no bearer":
            return {"headers": {"authorization": await key(house, "acme")}}
        case "empty":
            return {"headers": bearer("")}
        case "unknown":
            return {"headers": bearer(make())}
        case "nonsense":
            return {"headers": {"api-key": "ż\ufffd" * 400}}
        case "huge":
            return {"headers": {"x-api-key": await key(house, "acme") + "0" * 100_000}}
        case "expired":
            return {"headers": bearer(await key(house, "acme", expires_at=house.clock.now()))}
        case "revoked":
            made = await house.book.create("acme")
            await house.book.revoke(made.key)
            await look(house)
            return {"headers": bearer(made.value)}
        case "rotated":
            made = await house.book.create("acme")
            await house.book.rotate(made.key)
            await look(house)
            return {"headers": bearer(made.value)}
        case "no tenant":
            return {"headers": bearer(await key(house, "gone"))}
        case "no project":
            return {"headers": bearer(await key(house, "acme", "gone"))}
        case "no user":
            return {"headers": bearer(await key(house, "acme", "search", "gone"))}
        case "good key second":
            return {"headers": {**bearer(make()), "api-key": await key(house, "acme")}}
        case _:
            raise AssertionError(case)


CASES = (
    "missing,no bearer,empty,unknown,nonsense,huge,expired,revoked,rotated,no tenant,no project,no user,"
    "good key second"
).split(",")


@pytest.mark.parametrize("case", CASES)
async def test_without_a_good_key_everyone_gets_the_same_answer(house: House, case: str) -> None:
    plain = await house.refusal({})
    refusal = await house.refusal(**await dead(house, case))
    assert (refusal.status, refusal.code, refusal.kind) == (401, "invalid_api_key", "invalid_request_error")
    assert (refusal.body(), refusal.headers) == (plain.body(), plain.headers)
    assert refusal.headers == {"www-authenticate": "Bearer"}


@pytest.mark.parametrize("case", CASES)
async def test_every_answer_costs_one_mac_and_one_comparison(
    house: House, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = await dead(house, case)
    counted: list[str] = []
    for module, name in ((tables, "mac_of"), (hmac, "compare_digest")):
        real = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *given, real=real, name=name: counted.append(name) or real(*given)
        )
    await house.refusal(**request)
    assert counted == ["mac_of", "compare_digest"]


async def test_a_refused_exchange_is_nobodys(house: House) -> None:
    exchange = Exchange(request_of("GET", "/v1/models", CIMultiDict(bearer(make())), b""), house.policies)
    with pytest.raises(Refusal):
        await testing.run_stage(house.stage, exchange, testing.FakeUpstream(testing.chat("hi")))
    assert (exchange.tenant, exchange.key_id, exchange.client_key) == ("", "", None)
    assert dict(exchange.request.headers) == {}
    assert exchange.decisions == [Decision("identify", "refuse")]


async def test_a_key_lives_until_it_expires_and_not_a_moment_longer(house: House) -> None:
    value = await key(house, "acme", expires_at=house.clock.now() + 5)
    await house.send(bearer(value))
    house.clock.advance(5)
    assert (await house.refusal(bearer(value))).status == 401


async def test_a_holder_that_comes_back_has_its_key_again(house: House) -> None:
    value = await key(house, "acme")
    gone = TenantsPolicy(tenants={"other": Tenant()})
    assert (await house.refusal(bearer(value), tenants=gone)).status == 401
    await house.send(bearer(value))


async def test_a_use_is_noted_of_good_keys_only(house: House) -> None:
    value = await key(house, "acme")
    table = house.stage._table
    assert table is not None
    await house.refusal(bearer(await key(house, "gone")))
    assert table._uses == {}
    await house.send(bearer(value))
    assert table._uses == {value[9:21]: house.clock.now()}


# When the store of keys is away


async def test_knowledge_that_is_too_old_refuses_everyone(house: House) -> None:
    value = await key(house, "acme")
    await house.send(bearer(value))

    async def gone(*_: object, **__: object) -> None:
        raise StoreUnavailable("gone")

    house.resources.records.read = gone  # type: ignore[assignment,method-assign]
    house.clock.advance(10)
    await house.send(bearer(value))
    house.clock.advance(0.1)
    for headers in (bearer(value), bearer(make()), {}):
        refusal = await house.refusal(headers)
        assert (refusal.status, refusal.code, refusal.kind) == (503, "keys_unavailable", "api_error")
    house.policies = house.policies.replacing(IdentifyPolicy(max_stale_s=60))
    await house.send(bearer(value))


async def test_a_store_that_was_never_there_refuses_everyone(house: House) -> None:
    async def gone(*_: object, **__: object) -> None:
        raise StoreUnavailable("gone")

    house.resources.records.read = gone  # type: ignore[assignment,method-assign]
    assert (await house.refusal(bearer(make()))).code == "keys_unavailable"


async def test_the_first_request_waits_for_the_first_look(house: House) -> None:
    made = await house.book.create("acme")
    _, reply = await house.send(bearer(made.value))
    assert reply.status == 200


async def test_a_stage_that_was_never_started_lets_nobody_in() -> None:
    exchange = testing.exchange(headers=bearer(make()), given=[TENANTS])
    with pytest.raises(Refusal) as refused:
        await testing.run_stage(Identify(), exchange, testing.FakeUpstream(testing.chat("hi")))
    assert refused.value.code == "keys_unavailable"


async def test_a_record_that_was_moved_to_another_id_opens_nothing(house: House) -> None:
    made = await house.book.create("acme")
    _, records = await house.resources.records.read(KEYS)
    assert records is not None
    await house.resources.records.put(KEYS, {"another00000": records[made.key.id]})
    await house.resources.records.delete(KEYS, made.key.id)
    await look(house)
    assert (await house.refusal(bearer(made.value))).status == 401


# Models and endpoints


@pytest.mark.parametrize(
    ("holder", "model", "scope"),
    [
        (("strict",), "small", None),
        (("strict",), "org/big", None),
        (("strict",), "Small", "the tenant"),
        (("strict",), None, "the tenant"),
        (("strict",), ["small"], "the tenant"),
        (("acme",), "anything", None),
        (("acme", "free"), "anything", None),
        (("acme", "search"), "big", None),
        (("acme", "search"), "huge", "project search"),
        (("acme", "search", "ada"), "small", None),
        (("acme", "search", "ada"), "big", "user ada"),
        (("acme", "", "ada"), "big", "user ada"),
    ],
)
@pytest.mark.parametrize("path", ["chat/completions", "responses", "completions", "embeddings"])
async def test_each_scope_holds_its_keys_to_its_models(
    house: House, holder: tuple[str, ...], model: Any, scope: str | None, path: str
) -> None:
    headers = bearer(await key(house, *holder))
    if scope is None:
        await house.send(headers, f"/v1/{path}", model=model)
        return
    refusal = await house.refusal(headers, path=f"/v1/{path}", model=model)
    assert (refusal.status, refusal.code, refusal.param) == (403, "model_not_allowed", "model")
    assert refusal.message == f"This model is not allowed for {scope}."


@pytest.mark.parametrize("models", [["small", "huge"], ["huge"], "huge", [None], {"huge": 1}])
async def test_models_to_fall_back_to_are_models_too(house: House, models: Any) -> None:
    headers = bearer(await key(house, "strict"))
    assert (await house.refusal(headers, models=models)).code == "model_not_allowed"
    await house.send(headers, models=["small", "org/big"])
    await house.send(bearer(await key(house, "acme")), models=models)


OTHERS = [
    ("GET", "/v1/files"),
    ("POST", "/v1/audio/speech"),
    ("DELETE", "/v1/models/small"),
    ("GET", "/v1/models/"),
    ("GET", "/v1/models/%252e%252e/files"),
    ("GET", "/v1/realtime"),
    ("POST", "/v1/chat/completions/"),
    ("OPTIONS", "/v1/chat/completions"),
]


@pytest.mark.parametrize("tenant", ["acme", "strict"])
@pytest.mark.parametrize(("method", "path"), OTHERS)
async def test_what_nobody_reads_is_refused_unless_the_policy_allows_it(
    house: House, method: str, path: str, tenant: str
) -> None:
    headers = bearer(await key(house, tenant))
    refusal = await house.refusal(headers, path=path, method=method)
    assert (refusal.status, refusal.code) == (403, "endpoint_not_allowed")
    house.policies = house.policies.replacing(IdentifyPolicy(other_endpoints="allow"))
    await house.send(headers, path=path, method=method)


async def test_feedback_is_ours_and_needs_a_key_like_everything(house: House) -> None:
    await house.send(bearer(await key(house, "strict")), path="/v1/dac/feedback")
    assert (await house.refusal({}, path="/v1/dac/feedback")).status == 401
    near = await house.refusal(bearer(await key(house, "strict")), path="/v1/dac/feedback/more")
    assert near.code == "endpoint_not_allowed"


async def test_who_has_no_key_does_not_learn_which_endpoints_there_are(house: House) -> None:
    assert (await house.refusal({}, path="/v1/files", method="GET")).status == 401
    assert (await house.refusal({}, model="huge")).status == 401


@pytest.mark.parametrize(
    ("tenant", "name", "seen"),
    [
        ("acme", "any", True),
        ("strict", "small", True),
        ("strict", "org%2Fbig", True),
        ("strict", "big", False),
    ],
)
async def test_one_model_may_be_asked_about(house: House, tenant: str, name: str, seen: bool) -> None:
    headers = bearer(await key(house, tenant))
    if seen:
        await house.send(headers, f"/v1/models/{name}", method="GET")
    else:
        refusal = await house.refusal(headers, path=f"/v1/models/{name}", method="GET")
        assert refusal.code == "model_not_allowed"


def listing(**more: Any) -> Callable[[], Reply]:
    names = ("small", "big", "org/big")
    data = [{"id": name, "object": "model"} for name in names]
    body = json.dumps({"object": "list", "data": [*data, "odd", {"object": "model"}], **more}).encode()
    return lambda: Reply(200, CIMultiDict({"content-type": "application/json"}), body)


@pytest.mark.parametrize(
    ("holder", "names"),
    [
        (("strict",), ["small", "org/big"]),
        (("acme", "search"), ["small", "big"]),
        (("acme", "search", "ada"), ["small"]),
    ],
)
async def test_only_the_models_that_may_be_used_are_listed(
    house: House, holder: tuple[str, ...], names: list[str]
) -> None:
    headers = bearer(await key(house, *holder))
    answer = listing(models=[{"name": "hidden"}], has_more=False)
    _, reply = await house.send(headers, "/v1/models", answer, "GET")
    told = json.loads(reply.body)
    assert [each["id"] for each in told.pop("data")] == names
    assert told == {"object": "list", "has_more": False}


async def test_a_list_of_models_stays_to_the_byte_where_nothing_is_restricted(house: House) -> None:
    headers = bearer(await key(house, "acme"))
    _, reply = await house.send(headers, "/v1/models", listing(), "GET")
    assert reply.body == listing()().body


@pytest.mark.parametrize("body", [b'{"data": {"id": "big"}}', b'{"data": null}', b"{}"])
async def test_a_list_in_another_shape_lists_nothing(house: House, body: bytes) -> None:
    headers = bearer(await key(house, "strict"))
    _, reply = await house.send(headers, "/v1/models", lambda: Reply(200, CIMultiDict(), body), "GET")
    assert json.loads(reply.body) == {"data": []}


async def test_an_error_of_the_upstream_passes_and_a_stream_of_models_does_not(house: House) -> None:
    headers = bearer(await key(house, "strict"))
    error = b'{"error": {"message": "no"}}'
    _, reply = await house.send(headers, "/v1/models", lambda: Reply(500, CIMultiDict(), error), "GET")
    assert reply.body == error
    source = testing.Events([])
    stream = Reply(200, CIMultiDict(), stream=Stream(source))
    with pytest.raises(Refusal) as refused:
        await house.send(headers, "/v1/models", lambda: stream, "GET")
    assert refused.value.status >= 500
    assert source.closed


# Plans: explain has no key, a WebSocket has one


def test_explain_needs_no_key_and_says_that_a_request_does() -> None:
    exchange = testing.exchange(given=[TENANTS, IdentifyPolicy()])
    assert Identify().plan(exchange) == Decision("identify", "keyed", "a tenant's key is needed")


def test_explain_tells_of_an_endpoint_that_nobody_may_use() -> None:
    exchange = testing.exchange("/v1/files", given=[TENANTS, IdentifyPolicy()])
    (told,) = Chain({"identify": Identify()}).explain(  # type: ignore[dict-item]
        Exchange(exchange.request, exchange.policies.replacing(_order()))
    )
    assert told.action == "refuse"
    assert "endpoint_not_allowed" in told.reason


def _order() -> Any:
    return testing.ChainPolicy(order=("identify",))


async def test_what_goes_around_the_chain_needs_a_key_and_leaves_it_behind(house: House) -> None:
    value = await key(house, "acme")
    policies = house.policies.replacing(IdentifyPolicy(other_endpoints="allow")).replacing(_order())
    chain = Chain({"identify": house.stage})  # type: ignore[dict-item]

    def handshake(headers: dict[str, str]) -> Exchange:
        return Exchange(request_of("GET", "/v1/realtime", CIMultiDict(headers), b""), policies)

    for wrong in ({}, bearer(make())):
        with pytest.raises(Refusal) as refused:
            chain.admit(handshake(wrong))
        assert refused.value.status == 401
    exchange = handshake({**bearer(value), "sec-websocket-protocol": "realtime"})
    chain.admit(exchange)
    assert (exchange.tenant, exchange.client_key) == ("acme", None)
    assert dict(exchange.request.headers) == {"sec-websocket-protocol": "realtime"}


async def test_an_exchange_that_was_identified_stays_so(house: House) -> None:
    value = await key(house, "acme")
    exchange = testing.exchange(headers=bearer(value), given=[TENANTS, IdentifyPolicy()])
    assert house.stage.plan(exchange) == house.stage.plan(exchange)


# Policies that are about to become live


async def test_the_way_back_to_open_mode_needs_a_restart(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "penstock.identify")
    opened = house.policies.replacing(TenantsPolicy())
    house.stage.accept(opened)
    house.stage.accept(opened)
    house.stage.accept(house.policies)
    house.stage.accept(house.policies)
    with pytest.raises(StartError, match=r"tenants\.yaml: the last tenant is gone"):
        house.stage.accept(opened)
    assert [each.getMessage().partition(":")[0] for each in caplog.records] == ["open mode", "keyed mode"]


async def test_keys_are_followed_from_the_first_tenant_on(house: House) -> None:
    table = house.stage._table
    assert table is not None
    house.stage.accept(house.policies.replacing(TenantsPolicy()))
    assert table._following is None
    house.stage.accept(house.policies)
    assert table._following is not None
