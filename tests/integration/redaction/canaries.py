"""Canaries: values with good check digits that stand nowhere else, and a search for every form of them."""

import base64
import json
from collections.abc import Iterator, Mapping
from urllib.parse import quote


def luhn(body: str) -> str:
    """Give a card number: the body with its check digit."""
    doubled = [int(char) * (2 - place % 2) for place, char in enumerate(reversed(body))]
    return body + str(-sum(number // 10 + number % 10 for number in doubled) % 10)


def german_iban(account: str) -> str:
    """Give an IBAN: 18 digits of bank and account with their check digits (ISO 13616)."""
    return f"DE{98 - int(account + '131400') % 97:02d}{account}"


CANARIES: Mapping[str, str] = {
    "EMAIL": "Quilla.Fenwright71@canary-roost.example",
    "CREDIT_CARD": luhn("453991804726351"),
    "IBAN": german_iban("370400440917263548"),
    "US_SSN": "536-71-4928",
    "PHONE": "+49 30 90182746",
    "SECRET": "ghp_" + "q7RtZ2mLx9VbC4nKw8sYd3HfJ6gPa1Ue5TzX",
}
MAC_ADDRESS = "3c:22:fb:9a:41:d7"
"""The canary whose type the policy blocks."""
ALL = (
    "Mail {EMAIL}, pay by card {CREDIT_CARD} or IBAN {IBAN}, my SSN is {US_SSN}, "
    "call me by phone {PHONE}, token {SECRET} end."
).format_map(CANARIES)


def searched() -> dict[str, str]:
    """Give what is searched for, by type."""
    return {**CANARIES, "MAC_ADDRESS": MAC_ADDRESS}


def forms(value: str) -> Iterator[tuple[str, bytes]]:
    """Give each form in which a value could hide; hex, URL and JSON forms are searched in any case."""
    raw = value.encode()
    yield "raw", raw
    yield "case-folded", value.casefold().encode()
    bare = "".join(char for char in value if char.isalnum())
    yield "bare", bare.encode()
    yield "hex", raw.hex().encode()
    for phase in range(3):
        for name, alphabet in (("base64", base64.b64encode), ("base64url", base64.urlsafe_b64encode)):
            coded = alphabet(bytes(phase) + raw)
            begin = -(-phase * 8 // 6)  # the first characters mix with what stands before
            whole = (phase + len(raw)) * 8 // 6
            yield f"{name} in phase {phase}", coded[begin:whole]
    yield "url", quote(value, safe="").encode()
    yield "url, every byte", "".join(f"%{byte:02x}" for byte in raw).encode()
    yield "json", json.dumps(value)[1:-1].encode()
    yield "json, every character", "".join(f"\\u{ord(char):04x}" for char in value).encode()


def leaks(sinks: Mapping[str, bytes]) -> list[str]:
    """Say which canary is found in which form in which sink."""
    found = []
    for sink, content in sinks.items():
        folded = content.lower()
        for type, value in searched().items():
            for form, needle in forms(value):
                exact = form.startswith("base64")
                if (needle in content) if exact else (needle.lower() in folded):
                    found.append(f"{type} as {form} in {sink}")
    return found
