"""How long the detection engine takes: µs for each 2 KB message, ms for hostile bodies of 64 KB.

    .venv/bin/python benchmarks/detect.py

One core, one thread, nothing asserted; processor time, so that others on the machine don't count. Every message of a
kind is another text and is read once, so that no automaton and no table has seen it before; the first messages after
the start count too. A hostile body is read five times and the best and the worst are given. The goals: p50 150 µs and
p99 400 µs for each message, 10 ms for each body.
"""

# ruff: noqa: E501, RUF001 (values and look-alikes are written as they occur)

import random
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from penstock.detect import DetectConfig, Engine, TooManyFindings

MESSAGE = 2048
BODY = 65_536
MESSAGES = 400
ROUNDS = 5

WORDS = """the of and to in is that for it as was with be by on not he this are at from his but an which they you have her she
would there been one their all more who will about when if out so what up said time than its into them can only other new some
could these two may first then do any like my now over such our man me even most made after also did many off before must well back
through years where much your way down should because long each just state people those too how little good world make very year
still see work between never day another think public class order report value number house general system""".split()
NAMES = ("Jane Roe", "John Public", "Maria Silva", "Piotr Nowak", "Erik Larsen", "Aisha Khan")


def _prose(dice: random.Random) -> Iterator[str]:
    while True:
        sentence = " ".join(dice.choices(WORDS, k=dice.randint(6, 18)))
        yield sentence.capitalize() + dice.choice(". .  ? ,".split(" ")) + dice.choice(" \n")


def _code(dice: random.Random) -> Iterator[str]:
    while True:
        one, other, third = dice.sample(WORDS, 3)
        yield dice.choice(
            (
                f"def {one}_{other}({third}: int, {one}: str = 'x') -> list[int]:\n    '''{third.capitalize()} {one}.'''\n",
                f"    {one} = {{i: {other}[i:i + {dice.randint(1, 9)}] for i in range({dice.randint(2, 4000)})}}\n",
                f"    if {one} != [1, 2, {dice.random():.3f}] and {other} % {dice.randint(2, 99)} == 0:\n        return {third}\n",
                f"    assert {one}_{other}([{dice.randint(0, 99)}, {dice.randint(0, 99)}]) == {dice.randint(0, 9999)}\n",
            )
        )


def _maths(dice: random.Random) -> Iterator[str]:
    while True:
        many, price = dice.randint(2, 9000), dice.randint(1, 900)
        yield f"{dice.choice(NAMES)} has {many} {dice.choice(WORDS)}s at ${price}.50 each, so {many}*{price}={many * price}. "


def _dense(dice: random.Random) -> Iterator[str]:
    while True:
        first, last = dice.choice(NAMES).split()
        digits = "".join(dice.choices("0123456789", k=40))
        yield (
            f"name: {first} {last}, mail {first.lower()}.{last.lower()}{digits[:3]}@example.org, card {_card(dice)}, "
            f"phone (555) {digits[3:6]}-{digits[6:10]}, SSN 219-{digits[10:12]}-{digits[12:16]}, ip 10.{dice.randint(0, 255)}.0.7, "
            f"passport X{digits[16:24]}, driver license D{digits[24:32]}, password = 'k{digits[32:36]}Qz!'\n"
        )


def _card(dice: random.Random) -> str:
    body = "4" + "".join(dice.choices("0123456789", k=14))
    total = sum(sum(divmod(int(char) * (2 - i % 2), 10)) for i, char in enumerate(body))
    return body + str(-total % 10)


KINDS: dict[str, Callable[[random.Random], Iterator[str]]] = {
    "prose": _prose,
    "code": _code,
    "maths": _maths,
    "dense": _dense,
}


def _text(pieces: Iterator[str], size: int) -> str:
    parts: list[str] = []
    length = 0
    while length < size:
        parts.append(next(pieces))
        length += len(parts[-1])
    return "".join(parts)[:size]


def hostile() -> dict[str, str]:
    """Give bodies of 64 KB that are made to be slow."""
    dice = random.Random(3)  # noqa: S311 (the same texts each time)
    flood = [
        "1", "1 ", "a1", "a.", "1.", "1:", "-", "@", "a@b.", "GB29 ", "password=", "passport a1 ", "license a12345 ", "eyJ", "sk-",
        "1234567 ", "4111 ", "born 01/02/1990 ", "Mr A ", "(555) 123-", "+44 20 79", "555-123-456 ", "1\u200b", "中", "４", "４１１１ ",
        "key: a1b2c3d4 ", "password: ab12 ", "://a:b", "<", "aa::", "1.1.1.1 ", "%41", "GB29NWBK6016133192681 ", "00:11:", "O", "a-",
    ]  # fmt: skip
    bodies = {repr(piece): (piece * (BODY // len(piece) + 1))[:BODY] for piece in flood}
    bodies["random hex"] = "".join(dice.choices("0123456789abcdef", k=BODY))
    bodies["random digits"] = "".join(dice.choices("0123456789", k=BODY))
    bodies["random base64"] = "".join(
        dice.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", k=BODY)
    )
    bodies["numbers of 7"] = _text((f"{dice.randint(10**6, 10**7 - 1)} " for _ in range(BODY)), BODY)
    bodies["numbers of 9, lines"] = _text((f"{dice.randint(10**8, 10**9 - 1)}\n" for _ in range(BODY)), BODY)
    bodies["licence rows"] = _text((f"license a{dice.randint(10**4, 10**5)} " for _ in range(BODY)), BODY)
    bodies["password rows"] = _text((f"password=x{dice.randint(10**5, 10**6)} " for _ in range(BODY)), BODY)
    bodies["half phones"] = _text(
        (f"(555) {dice.randint(100, 999)}-{dice.randint(10, 99)} " for _ in range(BODY)), BODY
    )
    bodies["full-width numbers"] = bodies["numbers of 7"].translate({48 + i: 0xFF10 + i for i in range(10)})
    bodies["dense"] = _text(_dense(dice), BODY)
    return bodies


def _spent(engine: Engine, text: str) -> float:
    began = time.process_time()
    with suppress(TooManyFindings):  # a refusal is an answer
        engine.find(text)
    return time.process_time() - began


def main() -> None:
    """Print both tables."""
    engine = Engine(DetectConfig())
    print(f"{'2 KB of':<24}{'p50 µs':>10}{'p99 µs':>10}{'first µs':>10}")
    for name, kind in KINDS.items():
        pieces = kind(random.Random(name))  # noqa: S311
        times = [_spent(engine, _text(pieces, MESSAGE)) * 1e6 for _ in range(MESSAGES)]
        ordered = sorted(times)
        print(
            f"{name:<24}{ordered[MESSAGES // 2]:>10.0f}{ordered[MESSAGES * 99 // 100]:>10.0f}{times[0]:>10.0f}"
        )
    print(f"\n{'64 KB of':<24}{'best ms':>10}{'worst ms':>10}")
    for name, text in hostile().items():
        times = [_spent(engine, text) * 1e3 for _ in range(ROUNDS)]
        print(f"{name:<24}{min(times):>10.1f}{max(times):>10.1f}")


if __name__ == "__main__":
    main()
