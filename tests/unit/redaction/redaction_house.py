"""What the tests of this room share: a key, a small detector, hostile texts, and streams of both APIs."""

import hashlib
import json
import random
import re
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import strategies as st

from penstock.openai import sse
from penstock.openai.request import Endpoint
from penstock.openai.sse import Event, Parser
from penstock.redaction import Action, StreamRestorer, Vault, redact

ALL = {"*": Action.PLACEHOLDER}


def keyed(key: bytes = b"tenant-one"):
    def mac(*parts: bytes) -> bytes:
        made = hashlib.blake2b(key=key, digest_size=32)
        for part in parts:
            made.update(len(part).to_bytes(8, "big") + part)
        return made.digest()

    return mac


@dataclass(frozen=True)
class Found:
    start: int
    end: int
    type: str
    detector: str = "test.rule"
    version: str = "1"
    checked: bool = False


_RULES = re.compile(
    r"(?P<EMAIL>[\w.+-]+@[\w-]+\.[a-z]{2,})"
    r"|(?P<US_SSN>(?<!\d)\d{3}-\d{2}-\d{4}(?!\d))"
    r"|(?P<CREDIT_CARD>(?<!\d)(?:\d{4}[ -]?){3}\d{4}(?!\d))"
    r"|(?P<PHONE>\+1 \d{3} \d{3} \d{4}(?!\d))"
    r'|(?P<PERSON>(?:Zoë|O"Brien|Ann\nLee|a\\b|Łódź 🙂))'
)


def find(text: str, label: str = "") -> list[Found]:
    return [Found(m.start(), m.end(), m.lastgroup) for m in _RULES.finditer(text)]


VALUES = [
    ("EMAIL", "ann@example.org"),
    ("EMAIL", "Ann@example.org"),
    ("US_SSN", "078-05-1120"),
    ("CREDIT_CARD", "4111 1111 1111 1111"),
    ("PERSON", "Zoë"),
    ("PERSON", 'O"Brien'),
    ("PERSON", "Ann\nLee"),
    ("PERSON", "a\\b"),
    ("PERSON", "Łódź 🙂"),
]


def spelled() -> list[str]:
    """Placeholders that redacting VALUES with the usual key would make, and mutations of them."""
    vault = Vault(keyed())
    made = [vault.placeholder(*value) for value in VALUES]
    bare = [one[1:-1] for one in made]
    return [
        *made,
        *bare,
        made[0].lower(),
        made[0].replace("_", " "),
        made[2].replace("_", "\\_"),
        made[1].replace("[", "[**").replace("]", "**]"),
        "[" + bare[3],
        bare[3] + "]",
        made[0][:9],
        made[0][9:],
        bare[0][:-1] + "0",
        bare[0] + "1",
        "X" + bare[0],
        bare[0][6:],
    ]


_FRAGMENTS = [
    *(value for _, value in VALUES),
    *spelled(),
    *"[ ] _ * ` - \\ E e 1 EMAIL email [EM [SSN_ SSN PERSON TEXT [TEXT_ é 🙂 \ud83d \n".split(" "),
    "\n",
    " ",
    "the ",
    "[EMAIL_123456789012]",
    "[TEXT_123456789012]",
    '"',
    "\\n",
    "\\u00e9",
    "\\" * 7,
]
hostile = st.lists(st.sampled_from(_FRAGMENTS) | st.text(max_size=3), max_size=14).map("".join)


@st.composite
def split(draw, texts=hostile):
    text = draw(texts)
    cuts = draw(st.lists(st.integers(0, len(text)), max_size=12).map(sorted))
    return text, pieces(text, cuts)


def pieces(text: str, cuts) -> list[str]:
    edges = [0, *cuts, len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


def some_text(chance: random.Random) -> str:
    """A hostile text without hypothesis, for numbers that it is too slow for."""
    return "".join(chance.choice(_FRAGMENTS) for _ in range(chance.randrange(15)))


def vault_of_all() -> Vault:
    """A vault with VALUES, and with stand-ins for none of them."""
    vault = Vault(keyed())
    for value in VALUES:
        vault.placeholder(*value)
    return vault


def redacted(text: str, vault: Vault, actions=ALL) -> str:
    body = {"model": "m", "messages": [{"role": "user", "content": text}]}
    new, _ = redact(Endpoint.CHAT, body, find, vault, actions)
    return new["messages"][0]["content"]


def arriving(payload, name: str = "") -> Event:
    """An event as it comes off the wire."""
    (event,) = Parser().feed(sse.encode(payload, name).raw)
    return event


def through(restorer: StreamRestorer, events: list[Event]) -> list[Event]:
    out = [new for event in events for new in restorer.event(event)]
    out += restorer.last()
    return [event for made in out for event in Parser().feed(made.raw)]


def chunk(delta, index=0, finish=None, **more) -> Event:
    choice = {"index": index, "delta": delta, "finish_reason": finish, **more}
    return arriving({"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]})


def call(arguments: str, index=0) -> dict:
    return {"tool_calls": [{"index": index, "function": {"arguments": arguments}}]}


def joined(events: list[Event], *path) -> str:
    """The text at a path of the choices' deltas: choice, field, and the call's index where there is one."""
    choice_index, name, *rest = path
    text = []
    for event in events:
        for choice in (event.json or {}).get("choices", ()):
            if choice["index"] != choice_index:
                continue
            delta = choice.get("delta", choice)
            if name == "tool_calls":
                calls = [c for c in delta.get(name, ()) if c["index"] == rest[0]]
                text += [c["function"]["arguments"] for c in calls]
            else:
                text.append(delta.get(name) or "")
    return whole("".join(text))


def whole(text: str) -> str:
    """The text as a client has it: two halves of a character that came apart are one again."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


def arguments_of(text: str) -> str:
    return json.dumps({"q": text, "n": [1, {"k": text}]}, ensure_ascii=False)
