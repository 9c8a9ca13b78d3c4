"""Every error of the house, and the OpenAI-shaped JSON a client sees of it.

PenstockError
├── StartError          the gateway can't start; exit code 2
│   └── PolicyProblems  (policy/problems.py) all that is wrong in the policies
├── StoreUnavailable    a store can't be reached or did not answer in time
└── Refusal             the client gets this status, code and message
    ├── UpstreamFailed      (upstream/failures.py) the upstream gave no usable answer
    └── StageFailed         a stage broke and its policy says reject
"""

from collections.abc import Mapping
from typing import Any

import msgspec


class PenstockError(Exception):
    """The root of every error that Penstock raises on purpose."""


class StartError(PenstockError):
    """The gateway can't start; the message says what to mend. The exit code is 2."""


class StoreUnavailable(PenstockError):
    """A store can't be reached or did not answer in time. The message holds no key and no value."""


class Refusal(PenstockError):
    """An answer that is an error: OpenAI's shape, a stable code, never a value the client sent.

    `kind` is OpenAI's `type`; `headers` go to the client beside the body.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        kind: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.kind = kind or ("invalid_request_error" if status < 500 else "api_error")
        self.param = param
        self.headers = dict(headers or {})

    def shape(self) -> dict[str, Any]:
        """Give the error object as OpenAI's SDKs expect it."""
        return {"error": {"message": self.message, "type": self.kind, "param": self.param, "code": self.code}}

    def body(self) -> bytes:
        """Give the JSON body."""
        return msgspec.json.encode(self.shape())


class StageFailed(Refusal):
    """A stage broke and its policy says reject: 503, so that clients may try again."""

    def __init__(self, stage: str) -> None:
        super().__init__(503, f"{stage}_unavailable", f"The gateway's {stage} stage is not available.")
