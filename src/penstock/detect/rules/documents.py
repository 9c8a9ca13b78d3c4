"""Passports and driving licences with letters in their numbers: the form allows, the nearest word decides."""

# ruff: noqa: E501 (a pattern or a list of words reads best in one line)

import re
from collections.abc import Iterator

from penstock.detect.checks import mrz_digit
from penstock.detect.finding import Finding
from penstock.detect.probe import ALONE, CHECKED, CONTEXT, SHAPE, VERSION, Probe, Shape, compiled
from penstock.detect.rules.ids import es_dni
from penstock.detect.source import Source

_TOKEN = compiled(
    r"[A-Z]{1,3} [0-9]{5,}|[A-Za-z0-9][A-Za-z0-9*/\-]*[0-9][A-Za-z0-9*/\-]*(?:[ \n][0-9OIl]*[0-9][0-9OIl]*)*"
)
_GAP = re.compile(r"[ \n]")
_PASSPORT = re.compile(r"[A-Z]{1,3}\d{5,9}[A-Z]?|[A-Z]\d{3}[A-Z]\d{4}|[CFGHJK][CFGHJKLMNPRTVWXYZ\d]{8}\d?D?|\d{2}[A-Z]{2}\d{5}|[A-Z]{2}[\dO][ \n-]?[\dOIl]{6}|[A-Z]{1,3}[ -]\d{6,8}",
                       re.IGNORECASE)  # fmt: skip
_LICENCE = re.compile(r"(?=(?:[^\d]*\d){3})[A-Z\d](?:[ \-*/]{0,2}[A-Z\d]){4,19}", re.IGNORECASE)
_SHORTEST, _LONGEST = 6, 40
_MAX_GAP = 7
_CLOSE_GAP = 5

_UK_LICENCE = r"[A-Z9]{5}[ ]?[0-9](?:0[1-9]|1[0-2]|5[1-9]|6[0-2])(?:0[1-9]|[12][0-9]|3[01])[0-9][ ]?[A-Z9]{2}[A-Z0-9]{3}(?:[0-9]{2})?"


def de_passport(value: str) -> bool:
    """German passport: eight characters and the check digit of ICAO 9303."""
    value = value.upper()
    return any(c.isdigit() for c in value[1:8]) and mrz_digit(value[:8]) == value[8]


def _tokens(source: Source) -> Iterator[Finding]:
    plain = source.plain
    for match in _TOKEN.finditer(source.data):
        start, end = match.span()
        if end - start < _SHORTEST:
            continue
        if end - start > _LONGEST and (end := _shortened(plain, start, end)) - start > _LONGEST:
            continue
        text = plain[start:end]
        others = len(source.data[start:end].translate(None, b"0123456789"))
        if end - start - others < 3 or not others or not source.bounded(start, end):
            continue
        found = _by_word(source, start, end, text)
        if found is not None:
            yield found


def _shortened(plain: str, start: int, end: int) -> int:
    """End a number before other groups of digits that follow it; one that has no gap stays as it is."""
    gap = _GAP.search(plain, start, end)
    while gap is not None and (further := _GAP.search(plain, gap.end(), start + _LONGEST)) is not None:
        gap = further
    return gap.start() if gap is not None else end


def _by_word(source: Source, start: int, end: int, text: str) -> Finding | None:
    context = source.context(start, end)
    near = context.gap <= _CLOSE_GAP
    if context.says("passport") and near:
        whole = text if _PASSPORT.fullmatch(text) else _GAP.split(text)[0]
        if _PASSPORT.fullmatch(whole):
            return Finding(
                start, start + len(whole), "PASSPORT", "documents.passport", VERSION, False, CONTEXT, True
            )
    if context.says("licence") and context.gap <= _MAX_GAP:
        whole = text if _LICENCE.fullmatch(text) else _GAP.split(text)[0]
        if _LICENCE.fullmatch(whole) or ("*" in whole and len(whole) > 6):
            return Finding(
                start,
                start + len(whole),
                "DRIVER_LICENSE",
                "documents.licence",
                VERSION,
                False,
                CONTEXT,
                True,
            )
    return None


# Gates over the one-byte form, where a letter that Latin-1 lacks is \xff or \xa4.
_GATES = (
    "passport", "passeport", "pasaporte", "passaport", "passnummer", r"pass[ .\-]{1,2}n[ro]", "paszport", "reisepass", "travel doc",
    "pasaport", "\xfatlev", "licen[cs]e", "driving", r"\bdln?\b", "f.hrerschein", "fahrerlaubnis", "permis", "patente",
    "praw[oaem]{1,2} jazdy", "rijbewijs", "carnet", "k.rkort", "f.rerkort", "ajokortti", r"\bcdl\b", r"\bcnh\b", "dvla",
    r"[\xa4\xff]{2,5}",
)  # fmt: skip

_BARE = (
    ("PASSPORT", "documents.passport_alone", re.compile(r"[MSRODG]\d{8}|[MSROD]\d{3}[A-Z]\d{4}|[A-PR-WY][1-9]\d ?\d{4}[1-9]|[A-Z]\d{8}|[A-Z]{2}\d{7}|[A-Z]{3}\d{6}")),
    ("DRIVER_LICENSE", "documents.licence_alone", re.compile(r"[A-Z]{2}\d{7}[A-Z]|U1[A-Z\d]{7}[A-Z]|[A-Z]\d{12,14}|[A-Z]\d{3}-\d{4}-\d{4}(?:-\d\d)?|[A-Z\d]\d{2}[A-Z\d]{6}\d[A-Z\d]")),
)  # fmt: skip


def _alone(source: Source) -> Iterator[Finding]:
    """Take a text that is nothing but a document number, such as one argument of a tool call."""
    if not source.alone or source.label:
        return
    start, end = source.alone
    value = source.plain[start:end]
    for type, rule, form in _BARE:
        if form.fullmatch(value) and any(char.isdigit() for char in value):
            yield Finding(start, end, type, rule, VERSION, False, ALONE)
            return


_AAMVA = compiled(r"(?:\b|DL|ID)DAQ([A-Z0-9*\-]{5,25})\b")


def _barcodes(source: Source) -> Iterator[Finding]:
    """Take the number out of the barcode of an American licence (AAMVA DL/ID): its element DAQ."""
    for match in _AAMVA.finditer(source.data):
        start, end = match.span(1)
        yield Finding(start, end, "DRIVER_LICENSE", "documents.aamva", VERSION, False, CHECKED, True)


_TYPES = frozenset({"PASSPORT", "DRIVER_LICENSE"})
_SHAPES = (
    Shape("documents.uk_licence", "DRIVER_LICENSE", _UK_LICENCE, tags=("licence",), score=SHAPE, vetoes=(), caseless=True),
    Shape("documents.kr_licence", "DRIVER_LICENSE", r"(?:1[1-9]|2[0-8])-[0-9]{2}-[0-9]{6}-[0-9]{2}", tags=("licence",)),
    Shape("documents.es_licence", "DRIVER_LICENSE", r"[0-9]{8}[A-Z]", check=es_dni, tags=("licence",), needs_words=True,
          vetoes=("natid", "someid", "order", "version", "account", ""), gates=("licencia", "permiso", "carnet", "licen[cs]e")),
    Shape("documents.de_passport", "PASSPORT", r"[CFGHJKL][CFGHJKLMNPRTVWXYZ0-9]{7}[0-9]", check=de_passport, tags=("passport",),
          needs_words=True, caseless=True, gates=("pass", r"^\s*[a-z0-9]{9}\s*$")),
)  # fmt: skip

PROBES = [
    Probe("documents.tokens", _TYPES, _GATES, _tokens),
    Probe("documents.aamva", _TYPES, (r"ANSI 6[0-9]{5}",), _barcodes),
    Probe("documents.alone", _TYPES, (r"^\s*[a-z0-9][a-z0-9\- ]{7,18}\s*$",), _alone),
    *(shape.probe() for shape in _SHAPES),
]
