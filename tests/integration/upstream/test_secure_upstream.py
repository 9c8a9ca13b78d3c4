"""An upstream behind TLS: its own CA, a client certificate, Azure's habits, and a proxy on the way."""

import asyncio
import datetime
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from gateway_process import Gateway

from penstock import testing

POLICY = """
default: azure
upstreams:
  azure:
    url: {url}
    auth: {{style: api-key, key: env:TEST_AZURE_KEY}}
    headers: {{x-team: env:TEST_TEAM}}
    query: {{api-version: preview}}
    models: {{gpt-4o: my-deployment}}
    ca_file: {certs}/ca.pem
    client_cert_file: {certs}/client.pem
    timeouts: {{connect_s: 2, first_byte_s: 5, between_events_s: 5, total_s: 10}}
"""
SECRETS = {"TEST_AZURE_KEY": "azure-secret", "TEST_TEAM": "red"}
CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}


class Authority:
    """A CA that signs what a test needs; files are written into `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test ca")])
        builder = self._builder(self._name, self._key.public_key()).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        signs = dict.fromkeys(
            "digital_signature content_commitment key_encipherment data_encipherment "
            "key_agreement encipher_only decipher_only".split(),
            False,
        )
        usage = x509.KeyUsage(key_cert_sign=True, crl_sign=True, **signs)
        builder = builder.add_extension(usage, critical=True)
        cert = builder.sign(self._key, hashes.SHA256())
        (folder / "ca.pem").write_bytes(cert.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = x509.SubjectAlternativeName(
            [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
        )
        cert = self._builder(subject, key.public_key()).add_extension(names, critical=False)
        path = self.folder / f"{name}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + cert.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        return path

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )


@dataclass
class Azure:
    port: int = 0
    seen: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/openai/v1"

    async def answer(self, request: web.Request) -> web.Response:
        self.seen.append(request)
        self.bodies.append(await request.read())
        return web.Response(body=testing.chat("over TLS")().body, content_type="application/json")


@asynccontextmanager
async def azure(certs: Path) -> AsyncIterator[Azure]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certs / "ca.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(certs / "server.pem")
    server = Azure()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    server.port = runner.addresses[0][1]
    yield server
    await runner.cleanup()


@asynccontextmanager
async def connect_proxy() -> AsyncIterator[tuple[str, list[str]]]:
    """A proxy that knows CONNECT only, and the targets it was asked for."""
    targets: list[str] = []

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
        finally:
            writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        target = head.split()[1].decode()
        targets.append(target)
        host, _, port = target.rpartition(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pipe(reader, far_writer), pipe(far_reader, writer), return_exceptions=True)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", targets
    server.close()


@pytest.fixture
def certs(tmp_path: Path) -> Path:
    folder = tmp_path / "certs"
    folder.mkdir()
    authority = Authority(folder)
    authority.issue("server")
    authority.issue("client")
    return folder


StartSecure = Callable[..., Gateway]


@pytest.fixture
def start_secure(tmp_path: Path, certs: Path) -> StartSecure:
    def start(url: str, *, policy: str = POLICY, env: Mapping[str, str] = SECRETS) -> Gateway:
        policies = tmp_path / "policies"
        policies.mkdir()
        (policies / "chain.yaml").write_text("order: [identify, ephemeral, cache, upstream]")
        for name in ("identify", "ephemeral", "cache"):
            (policies / f"{name}.yaml").write_text("")
        (policies / "upstreams.yaml").write_text(policy.format(url=url, certs=certs))
        return Gateway(tmp_path / "state", url, policies, env=env).start()

    return start


async def ask(gateway: Gateway) -> tuple[int, dict[str, object]]:
    headers = {"authorization": "Bearer the-clients-own"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.post(gateway.base_url + "/chat/completions", json=CHAT) as answer,
    ):
        return answer.status, json.loads(await answer.read())


async def test_azure_with_its_own_ca_and_a_client_certificate(certs: Path, start_secure: StartSecure) -> None:
    async with azure(certs) as server:
        gateway = await asyncio.to_thread(start_secure, server.url)
        try:
            status, answer = await ask(gateway)
        finally:
            await asyncio.to_thread(gateway.stop)
    assert status == 200, answer
    [seen] = server.seen
    assert seen.path_qs == "/openai/v1/chat/completions?api-version=preview"
    assert seen.headers["api-key"] == "azure-secret"
    assert seen.headers["x-team"] == "red"
    assert "authorization" not in seen.headers
    assert json.loads(server.bodies[0])["model"] == "my-deployment"


async def test_a_certificate_of_nobody_we_trust_is_refused(certs: Path, start_secure: StartSecure) -> None:
    async with azure(certs) as server:
        trusting = POLICY.replace("    ca_file: {certs}/ca.pem\n", "")
        gateway = await asyncio.to_thread(start_secure, server.url, policy=trusting)
        try:
            status, answer = await ask(gateway)
        finally:
            await asyncio.to_thread(gateway.stop)
    assert status == 502
    assert answer["error"]["code"] == "upstream_unreachable"  # type: ignore[index]
    assert server.seen == []


@pytest.mark.parametrize(("bypass", "through"), [("", 1), ("localhost", 0)])
async def test_the_proxy_of_the_environment_is_obeyed(
    certs: Path, start_secure: StartSecure, bypass: str, through: int
) -> None:
    async with azure(certs) as server, connect_proxy() as (proxy, targets):
        env = {**SECRETS, "HTTPS_PROXY": proxy, "NO_PROXY": bypass, "no_proxy": bypass}
        gateway = await asyncio.to_thread(start_secure, server.url, env=env)
        try:
            status, answer = await ask(gateway)
        finally:
            await asyncio.to_thread(gateway.stop)
    assert status == 200, answer
    assert targets == [f"localhost:{server.port}"] * through


def test_a_secret_that_is_not_there_ends_the_start(start_secure: StartSecure) -> None:
    with pytest.raises(AssertionError, match="the environment has no variable TEST_AZURE_KEY"):
        start_secure("https://localhost:1/v1", env={"TEST_TEAM": "red"})
