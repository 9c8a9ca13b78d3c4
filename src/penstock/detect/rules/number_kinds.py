"""Which check-digit numbers exist, by their length, and how some are written so that no word is needed."""

# ruff: noqa: E501 (a pattern or a list of words reads best in one line)

import re
from collections.abc import Iterable
from dataclasses import dataclass

from penstock.detect import checks_europe as eu
from penstock.detect import checks_world as world
from penstock.detect.probe import Check

_N, _T = "NATIONAL_ID", "TAX_ID"


@dataclass(frozen=True, slots=True)
class Kind:
    """A number of one country: its rule id, its class, its check."""

    id: str
    type: str
    check: Check


def _kinds(*rows: tuple[str, str, Check]) -> list[Kind]:
    return [Kind(f"numbers.{name}", type, check) for name, type, check in rows]


BY_LENGTH: dict[int, list[Kind]] = {
    9: _kinds(
        ("ca_sin", _N, world.ca_sin), ("nl_bsn", _N, eu.nl_bsn), ("il_id", _N, world.il_id), ("au_acn", _N, world.au_acn),
        ("de_lanr", _N, eu.de_lanr), ("au_tfn", _T, world.au_tfn), ("pt_nif", _T, eu.pt_nif), ("fr_siren", _T, eu.fr_siren),
    ),
    10: _kinds(
        ("us_npi", _N, world.us_npi), ("uk_nhs", _N, eu.uk_nhs), ("au_medicare", _N, world.au_medicare), ("cz_rc", _N, eu.cz_rc),
        ("bg_egn", _N, eu.bg_egn), ("se_personnummer", _N, eu.se_personnummer), ("at_svnr", _N, eu.at_svnr),
        ("pl_nip", _T, eu.pl_nip), ("uk_utr", _T, eu.uk_utr), ("ua_rnokpp", _T, eu.ua_rnokpp),
    ),
    11: _kinds(
        ("pl_pesel", _N, eu.pl_pesel), ("be_nn", _N, eu.be_nn), ("br_cpf", _N, world.br_cpf), ("no_fnr", _N, eu.no_fodselsnummer),
        ("ee_isikukood", _N, eu.ee_isikukood), ("gr_amka", _N, eu.gr_amka), ("tr_tckn", _N, eu.tr_tckn), ("lv_pk", _N, eu.lv_pk),
        ("de_idnr", _T, eu.de_idnr), ("it_iva", _T, eu.it_iva), ("hr_oib", _N, eu.hr_oib), ("au_abn", _T, world.au_abn),
        ("ar_cuit", _T, world.ar_cuit),
    ),
    12: _kinds(
        ("in_aadhaar", _N, world.in_aadhaar), ("my_nric", _N, world.my_nric), ("jp_my_number", _N, world.jp_my_number),
        ("se_personnummer", _N, eu.se_personnummer_long),
    ),
    13: _kinds(
        ("za_id", _N, world.za_id), ("kr_rrn", _N, world.kr_rrn), ("ro_cnp", _N, eu.ro_cnp), ("ch_ahv", _N, eu.ch_ahv),
        ("si_emso", _N, eu.si_emso), ("th_pin", _N, world.th_pin),
    ),
    14: _kinds(("br_cnpj", _T, world.br_cnpj)),
    15: _kinds(("fr_nir", _N, eu.fr_nir)),
    16: _kinds(("id_nik", _N, world.id_nik)),
    18: _kinds(("cn_ric", _N, world.cn_ric)),
}  # fmt: skip

# Written like this, the check digit alone is enough.
FORMS: dict[str, Kind] = {
    r"\d{3}\.\d{3}\.\d{3}-\d{2}": Kind("numbers.br_cpf", _N, world.br_cpf),
    r"\d{2}\.\d{3}\.\d{3}/\d{4}-\d{2}": Kind("numbers.br_cnpj", _T, world.br_cnpj),
    r"756\.\d{4}\.\d{4}\.\d{2}": Kind("numbers.ch_ahv", _N, eu.ch_ahv),
    r"\d{6}/\d{4}": Kind("numbers.cz_rc", _N, eu.cz_rc),
    r"\d{6}-\d{7}": Kind("numbers.kr_rrn", _N, world.kr_rrn),
    r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}": Kind("numbers.be_nn", _N, eu.be_nn),
    r"[12] \d\d \d\d \d\d \d{3} \d{3} \d\d|[12]\d{14}": Kind("numbers.fr_nir", _N, eu.fr_nir),
    r"(?:20|23|27|30|33)-\d{8}-\d": Kind("numbers.ar_cuit", _T, world.ar_cuit),
    r"\d{8}-\d{4}": Kind("numbers.se_personnummer", _N, eu.se_personnummer_long),
    r"[1-6]\d{5}(?:19|20)\d{10}": Kind("numbers.cn_ric", _N, world.cn_ric),
    r"\d-\d{4}-\d{5}-\d{2}-\d": Kind("numbers.th_pin", _N, world.th_pin),
}


def _by_length(forms: Iterable[tuple[str, Kind]]) -> dict[int, list[tuple[re.Pattern[str], Kind]]]:
    sizes = {"br_cpf": 11, "br_cnpj": 14, "ch_ahv": 13, "cz_rc": 10, "kr_rrn": 13, "be_nn": 11, "fr_nir": 15}
    sizes |= {"ar_cuit": 11, "se_personnummer": 12, "cn_ric": 18, "th_pin": 13}
    table: dict[int, list[tuple[re.Pattern[str], Kind]]] = {}
    for form, kind in forms:
        table.setdefault(sizes[kind.id.partition(".")[2]], []).append((re.compile(form), kind))
    return table


WRITTEN = _by_length(FORMS.items())
