"""policies/upstreams.yaml: where requests go, and with whose key."""

import difflib
from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from yarl import URL

from penstock.policy.base import Finding, Policy, PolicySet, SecretReference, StagePolicy

Seconds = Annotated[float, Field(gt=0, le=3_600)]


def _base_url(text: str) -> str:
    url = URL(text.replace("{model}", "model"))
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError("an upstream's url is http://HOST[:PORT][/PATH] or https://…")
    if url.user or url.password or url.query_string or url.fragment:
        raise ValueError("an upstream's url has no user, password, query or fragment; use auth and query")
    return text.rstrip("/")


class Timeouts(Policy):
    """How long a call may take, in seconds."""

    connect_s: Seconds = Field(default=5.0, description="Until the connection stands, TLS included.")
    first_byte_s: Seconds = Field(
        default=300.0,
        description="From sending the request to the answer's first byte; of a stream, to its first event.",
    )
    between_events_s: Seconds = Field(default=120.0, description="Silence between two events of a stream.")
    total_s: Seconds = Field(default=1800.0, description="The whole call, from connecting to the last byte.")


class Auth(Policy):
    """Whose key goes upstream, and in which header."""

    style: Literal["bearer", "api-key", "x-api-key", "none"] = Field(
        default="bearer",
        description="`bearer` sends `Authorization: Bearer KEY`; `api-key` and `x-api-key` send that header.",
    )
    key: SecretReference | Literal["client"] = Field(
        default="client",
        description="`client` passes the client's own key on; else `env:NAME` or `file:PATH`.",
    )


class Upstream(Policy):
    """One OpenAI-compatible base URL."""

    url: Annotated[str, AfterValidator(_base_url)] = Field(
        description="The base URL, `/v1` included. `{model}` stands for the model's name on the wire."
    )
    provider: str = Field(
        default="openai", pattern=r"^[a-z0-9_.-]{1,40}$", description="The provider's name in metrics."
    )
    region: str = Field(
        default="",
        pattern=r"^[a-z0-9_.-]{0,40}$",
        description="Where it stands, such as `eu-west-1`; a label in metrics.",
    )
    auth: Auth = Field(default=Auth(), description="The key.")
    headers: dict[str, str | SecretReference] = Field(
        default={}, description="Headers set on every call; a value may be `env:NAME` or `file:PATH`."
    )
    query: dict[str, str] = Field(
        default={}, description="Query parameters set on every call, such as Azure's `api-version`."
    )
    models: dict[str, str] = Field(
        default={},
        description="Names that clients use, each with the model's name at this upstream. "
        "A request for one of them goes here; names that no upstream lists go to the default as they are.",
    )
    stream_usage: bool = Field(
        default=True,
        description="Ask for the usage of streams, and hide it from clients that did not ask. "
        "Off for servers that refuse `stream_options`.",
    )
    timeouts: Timeouts = Field(default=Timeouts(), description="Limits in time.")
    max_answer_bytes: Annotated[int, Field(gt=0)] = Field(
        default=64 * 1024 * 1024, description="The largest plain answer, decompressed, and the largest event."
    )
    ca_file: str | None = Field(default=None, description="A CA bundle in PEM that replaces the system's.")
    client_cert_file: str | None = Field(default=None, description="A client certificate in PEM.")
    client_key_file: str | None = Field(
        default=None, description="Its key in PEM, where it is not in the same file."
    )
    proxy: Literal["environment", "none"] = Field(
        default="environment", description="Whether HTTPS_PROXY, HTTP_PROXY and NO_PROXY are obeyed."
    )

    @model_validator(mode="after")
    def _key_with_certificate(self) -> Self:
        if self.client_key_file and not self.client_cert_file:
            raise ValueError("client_key_file needs a client_cert_file")
        return self


class UpstreamsPolicy(StagePolicy):
    """The upstreams by name, and which one takes what no other claims."""

    file = "upstreams"

    default: str = Field(default="openai", description="The upstream of models that none lists.")
    upstreams: dict[str, Upstream] = Field(
        default={"openai": Upstream(url="https://api.openai.com/v1")}, description="Upstreams by name."
    )

    def check(self, policies: PolicySet) -> Iterable[Finding]:
        """Find a default that is missing and models that two upstreams claim."""
        if self.default not in self.upstreams:
            yield Finding(
                ("default",), f"no upstream is called {self.default!r}", self._nearest(self.default)
            )
        claimed: dict[str, str] = {}
        for name, upstream in self.upstreams.items():
            for model in upstream.models:
                if model in claimed:
                    yield Finding(
                        ("upstreams", name, "models", model),
                        f"model {model!r} is already listed by upstream {claimed[model]!r}",
                        other=(UpstreamsPolicy, ("upstreams", claimed[model], "models", model)),
                    )
                claimed.setdefault(model, name)

    def choose(self, model: str | None, wanted: str | None = None) -> tuple[str, Upstream]:
        """Give the upstream that a stage wants, or else the one for a model's name as the client wrote it."""
        if wanted is not None and wanted in self.upstreams:
            return wanted, self.upstreams[wanted]
        for name, upstream in self.upstreams.items():
            if model in upstream.models:
                return name, upstream
        return self.default, self.upstreams[self.default]

    def at(self, url: str) -> "UpstreamsPolicy":
        """Give the same policy with another base URL for its default upstream. Raises ValueError."""
        moved = self.upstreams[self.default].model_copy(update={"url": _base_url(url)})
        return self.model_copy(update={"upstreams": {**self.upstreams, self.default: moved}})

    def _nearest(self, name: str) -> str | None:
        return next(iter(difflib.get_close_matches(name, self.upstreams)), None)
