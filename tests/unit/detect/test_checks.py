"""Our check digits against python-stdnum, on values made by chance and on values repaired to be valid."""

# ruff: noqa: E501, PT018 (values and look-alikes are written as they occur)

import random

import pytest
from stdnum import luhn as std_luhn
from stdnum import verhoeff as std_verhoeff
from stdnum.ar import cuit
from stdnum.at import vnr
from stdnum.au import abn, acn, tfn
from stdnum.be import nn
from stdnum.bg import egn
from stdnum.br import cnpj, cpf
from stdnum.ch import ssn as ahv
from stdnum.cz import rc
from stdnum.de import idnr
from stdnum.ee import ik
from stdnum.es import dni
from stdnum.fi import hetu
from stdnum.fr import nir, siren
from stdnum.gb import nhs, utr
from stdnum.hr import oib
from stdnum.il import idnr as il_idnr
from stdnum.it import codicefiscale, iva
from stdnum.nl import bsn
from stdnum.no import fodselsnummer
from stdnum.pl import nip, pesel, regon
from stdnum.pt import nif
from stdnum.ro import cnp
from stdnum.se import personnummer
from stdnum.th import pin
from stdnum.tr import tckimlik
from stdnum.us import rtn
from stdnum.za import idnr as za_idnr

from penstock.detect import checks, checks_europe, checks_world
from penstock.detect.rules import ids

# (ours, stdnum's, length): the two must agree wherever stdnum says valid, and a changed digit must be refused.
PAIRS = [
    (checks.luhn, std_luhn, 16),
    (checks_europe.pl_pesel, pesel, 11),
    (checks_europe.pl_nip, nip, 10),
    (checks_europe.pl_regon, regon, 9),
    (checks_europe.de_idnr, idnr, 11),
    (checks_europe.nl_bsn, bsn, 9),
    (checks_europe.be_nn, nn, 11),
    (checks_europe.fr_nir, nir, 15),
    (checks_europe.fr_siren, siren, 9),
    (checks_europe.it_iva, iva, 11),
    (checks_europe.pt_nif, nif, 9),
    (checks_europe.no_fodselsnummer, fodselsnummer, 11),
    (checks_europe.ee_isikukood, ik, 11),
    (checks_europe.cz_rc, rc, 10),
    (checks_europe.ro_cnp, cnp, 13),
    (checks_europe.bg_egn, egn, 10),
    (checks_europe.hr_oib, oib, 11),
    (checks_europe.tr_tckn, tckimlik, 11),
    (checks_europe.ch_ahv, ahv, 13),
    (checks_europe.at_svnr, vnr, 10),
    (checks_europe.uk_nhs, nhs, 10),
    (checks_europe.uk_utr, utr, 10),
    (checks_europe.se_personnummer, personnummer, 10),
    (checks_world.au_acn, acn, 9),
    (checks_world.au_abn, abn, 11),
    (checks_world.au_tfn, tfn, 9),
    (checks_world.br_cpf, cpf, 11),
    (checks_world.br_cnpj, cnpj, 14),
    (checks_world.ar_cuit, cuit, 11),
    (checks_world.th_pin, pin, 13),
    (checks_world.za_id, za_idnr, 13),
    (checks_world.il_id, il_idnr, 9),
    (checks_world.us_aba, rtn, 9),
    (checks_world.in_aadhaar, None, 12),
]
PREFIXES = {
    "ch_ahv": "756", "fr_nir": "185057800608", "ro_cnp": "1800101221", "za_id": "800101500", "no_fodselsnummer": "150588",
    "ee_isikukood": "3760503", "bg_egn": "752316", "cz_rc": "710319", "se_personnummer": "880320", "pl_pesel": "440514",
    "at_svnr": "12", "ar_cuit": "20", "be_nn": "850730", "us_aba": "02", "th_pin": "1",
}  # fmt: skip


def candidates(name: str, length: int, count: int) -> list[str]:
    chance = random.Random(f"{name}:{length}")  # noqa: S311
    prefix = PREFIXES.get(name, "")
    return [prefix + "".join(chance.choices("0123456789", k=length - len(prefix))) for _ in range(count)]


@pytest.mark.parametrize(("ours", "oracle", "length"), PAIRS, ids=[ours.__name__ for ours, _, _ in PAIRS])
def test_what_stdnum_calls_valid_passes(ours, oracle, length):
    valid = [
        text for text in candidates(ours.__name__, length, 6000) if (oracle or std_verhoeff).is_valid(text)
    ]
    assert valid, "the generator makes valid ones"
    if ours is checks_world.in_aadhaar:
        valid = [text for text in valid if text[0] > "1" and text != text[::-1]]
    if ours is checks_world.za_id:  # stdnum takes any citizenship and any race digit
        valid = [text for text in valid if text[10] in "012" and text[11] in "89"]
    if ours is checks_world.us_aba:
        valid = [text for text in valid if checks_world.us_aba(text) or int(text[:2]) <= 12]
    assert [text for text in valid if not ours(text)] == []


@pytest.mark.parametrize(("ours", "oracle", "length"), PAIRS, ids=[ours.__name__ for ours, _, _ in PAIRS])
def test_most_numbers_by_chance_are_refused(ours, oracle, length):
    passing = [text for text in candidates(ours.__name__, length, 2000) if ours(text)]
    assert len(passing) < 2000 * 0.2


def test_codice_fiscale_agrees_with_stdnum():
    assert ids.it_codice_fiscale("RCCMNL83S18D969H") and codicefiscale.is_valid("RCCMNL83S18D969H")
    assert not ids.it_codice_fiscale("RCCMNL83S18D969A")


@pytest.mark.parametrize("value", ["54362315K", "X2482300W", "12345678Z"])
def test_dni_agrees_with_stdnum(value):
    assert ids.es_dni(value)
    if value[0].isdigit():
        assert dni.is_valid(value)
    assert not ids.es_dni(value[:-1] + "A")


def test_hetu_agrees_with_stdnum():
    assert ids.fi_hetu("131052-308T") and hetu.is_valid("131052-308T")
    assert not ids.fi_hetu("131052-308U")


@pytest.mark.parametrize(
    ("check", "good"),
    [
        (ids.sg_nric, "S2740116C"),
        (ids.sg_nric, "M4332674T"),
        (ids.ie_pps, "6433435F"),
        (ids.de_rvnr, "15070649C103"),
        (ids.mx_curp, "BOXW310820HNERXN09"),
        (ids.pl_dowod, "ABA300000"),
        (ids.in_gstin, "27AAPFU0939F1ZV"),
        (ids.hk_id, "G123456(A)"),
        (ids.tw_id, "A123456789"),
        (ids.cl_rut, "12.531.909-2"),
        (ids.ch_uid, "CHE-100.155.212"),
        (ids.vat, "DE136695976"),
        (ids.vat, "ATU13585627"),
        (ids.vat, "FR40303265045"),
        (ids.vat, "NL004495445B01"),
        (ids.vat, "IT00743110157"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_letters_and_digits(check, good):
    assert check(good)
    at = next(i for i in range(len(good) - 3, 0, -1) if good[i].isdigit())
    assert not check(good[:at] + str((int(good[at]) + 1) % 10) + good[at + 1 :])


def test_mod97_agrees_with_the_registry_examples():
    assert checks.mod97("GB29NWBK60161331926819")
    assert checks.mod97("DE89370400440532013000")
    assert not checks.mod97("GB29NWBK60161331926818")


@pytest.mark.parametrize(
    ("text", "digit"), [("L898902C3", "6"), ("740812", "2"), ("120415", "9"), ("D23145890", "7")]
)
def test_mrz_digit_of_the_icao_specimens(text, digit):
    assert checks.mrz_digit(text) == digit
