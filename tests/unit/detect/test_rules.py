"""Every family: what it finds, and what looks like it and is not."""

# ruff: noqa: E501, RUF001 (values and look-alikes are written as they occur)

import pytest
from detect_kit import found, types

FINDS = [
    ("EMAIL", "write to jane.doe+x@mail.example.co.uk.", "jane.doe+x@mail.example.co.uk"),
    ("EMAIL", "<bob@example.org>", "bob@example.org"),
    ("EMAIL", "a@xn--d1acufc.xn--p1ai", "a@xn--d1acufc.xn--p1ai"),
    ("CREDIT_CARD", "card 4111 1111 1111 1111 ok", "4111 1111 1111 1111"),
    ("CREDIT_CARD", "amex 3782-822463-10005.", "3782-822463-10005"),
    ("CREDIT_CARD", "5500000000000004", "5500000000000004"),
    ("IBAN", "to GB29 NWBK 6016 1331 9268 19 now", "GB29 NWBK 6016 1331 9268 19"),
    ("IBAN", "iban de89370400440532013000", "de89370400440532013000"),
    ("IBAN", "PL6.1.1.0.9.0.1.0.1.4.0.0.0.0.0.7.1.2.1.9.8.1.2.8.7.4", "PL6.1.1.0.9.0.1.0.1.4.0.0.0.0.0.7.1.2.1.9.8.1.2.8.7.4"),
    ("BANK_ACCOUNT", "bank account number 3847283911 is his", "3847283911"),
    ("BANK_ACCOUNT", "Account Number 'HDFC012345678901'", "HDFC012345678901"),
    ("BANK_ROUTING", "routing number 021000021", "021000021"),
    ("US_SSN", "SSN 123-45-6789", "123-45-6789"),
    ("US_SSN", "my social security number is 078051121", "078051121"),
    ("US_SSN", "078 05 1120", "078 05 1120"),
    ("NATIONAL_ID", "NPI 1234567893 is hers", "1234567893"),
    ("TAX_ID", "taxpayer identification number is 000123456", "000123456"),
    ("BANK_ROUTING", "sort code 12-34-56", "12-34-56"),
    ("TAX_ID", "my itin is 911-70-1234", "911-70-1234"),
    ("TAX_ID", "Tax ID 94-2841935", "94-2841935"),
    ("TAX_ID", "NIP: 5213017228", "5213017228"),
    ("TAX_ID", "USt-IdNr DE136695976", "DE136695976"),
    ("TAX_ID", "PAN: ABCPE1234F", "ABCPE1234F"),
    ("NATIONAL_ID", "PESEL 44051401458", "44051401458"),
    ("NATIONAL_ID", "44051401458", "44051401458"),
    ("NATIONAL_ID", "PESEL: 4.4.0.5.1.4.0.1.4.5.8", "4.4.0.5.1.4.0.1.4.5.8"),
    ("NATIONAL_ID", "cpf 390.533.447-05", "390.533.447-05"),
    ("NATIONAL_ID", "codice fiscale RCCMNL83S18D969H", "RCCMNL83S18D969H"),
    ("NATIONAL_ID", "my NHS number is 943 476 5919", "943 476 5919"),
    ("NATIONAL_ID", "NINO AB 12 34 56 C", "AB 12 34 56 C"),
    ("PASSPORT", "passport number RX3901825", "RX3901825"),
    ("PASSPORT", "Reisepass C01234565 vom", "C01234565"),
    ("PASSPORT", "paszport nr HX6 088035", "HX6 088035"),
    ("PASSPORT", '{"passportNumber": "912803456"}', "912803456"),
    ("DRIVER_LICENSE", "driver’s license Y820-9283-4432 and", "Y820-9283-4432"),
    ("DRIVER_LICENSE", "prawo jazdy 04 8736369", "04 8736369"),
    ("DRIVER_LICENSE", "MORGA657054SM9IJ", "MORGA657054SM9IJ"),
    ("DRIVER_LICENSE", "Führerschein B072RRE2I55", "B072RRE2I55"),
    ("DRIVER_LICENSE", "운전면허 11-22-333333-44", "11-22-333333-44"),
    ("IP", "ping 203.0.113.9, please", "203.0.113.9"),
    ("IP", "at 2001:db8::8a2e:370:7334 now", "2001:db8::8a2e:370:7334"),
    ("MAC", "mac 00:1B:63:84:45:E6", "00:1B:63:84:45:E6"),
    ("PHONE", "call (555) 123-4567", "(555) 123-4567"),
    ("PHONE", "London +44 20 7946 0958.", "+44 20 7946 0958"),
    ("PHONE", "Phone:\n0490 75 40 81\n", "0490 75 40 81"),
    ("DATE", "DOB 03/15/1989", "03/15/1989"),
    ("DATE", "Data urodzenia: 8 marca 1979", "8 marca 1979"),
    ("PERSON", "My name is Jane Roe", "Jane Roe"),
    ("PERSON", "Dr. Robert Chen will review", "Robert Chen"),
    ("ADDRESS", "visit 221B Baker Street today", "221B Baker Street"),
    ("ADDRESS", "PSC 0413, Box 8144\nAPO AA 42323", "PSC 0413, Box 8144\nAPO AA 42323"),
    ("CRYPTO", "pay 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
    ("CRYPTO", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
    ("CRYPTO", "0xde0B295669a9FD93d5F28D9Ec85E40f4cb697BAe", "0xde0B295669a9FD93d5F28D9Ec85E40f4cb697BAe"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("type", "text", "value"), FINDS, ids=[f"{t}-{i}" for i, (t, _, _) in enumerate(FINDS)]
)
def test_finds(type, text, value):
    assert (type, value) in found(text)


LOOK_ALIKES = [
    ("EMAIL", "not-an-email@ and @alone, see https://example.com/@user/profile"),
    ("EMAIL", "const EMAIL_PATTERN = /[a-z]+@[a-z]+/;"),
    ("CREDIT_CARD", "card 4111 1111 1111 1112"),
    ("CREDIT_CARD", "order no. 4111111111111111"),
    ("CREDIT_CARD", "0.4111111111111111"),
    ("IBAN", "GB29 NWBK 6016 1331 9268 18"),
    ("IBAN", "it is 20 minutes past 11 and 30 more 1234 5678"),
    ("US_SSN", "Invalid SSN 000-00-0000, SSN 666-12-9999, 123-45-678 and 123-45-67890"),
    ("US_SSN", "version 123-45-6789"),
    ("NATIONAL_ID", "the number 44051401459 in a sentence"),
    ("NATIONAL_ID", "we sold 44051401458 of them"),
    ("TAX_ID", "AT123456789 and DE123456780"),
    ("PASSPORT", "Part number X1234567 in stock"),
    ("PASSPORT", "the passport office at order X1234567"),
    ("DRIVER_LICENSE", "public license agreement, policy duplicate"),
    ("DRIVER_LICENSE", "Apache License, version 2.0, commit a1b2c3d4e5"),
    ("IP", "version 1.2.3.4 and 256.1.1.1 and 1.2.3.4.5 and v2026.2.9"),
    ("IP", "x = a[::2] + b[1::2]; at 12:30:45"),
    ("MAC", "00:1B:63:84:45:E6:00:1B:63:84:45:E6"),
    ("PHONE", "Part number: 555-123-4567-A, range 1990 - 2005, 12/03/2024"),
    ("PHONE", "2015-12-22 04:34:22"),
    ("DATE", "The meeting on 03/15/1989 was long"),
    ("PERSON", "Dear Sir or Madam, Dr. House Road"),
    ("CRYPTO", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb"),
    ("CRYPTO", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5"),
    ("BANK_ACCOUNT", "account for 2024, on account of 12 people"),
]


@pytest.mark.parametrize(
    ("type", "text"), LOOK_ALIKES, ids=[f"{t}-{i}" for i, (t, _) in enumerate(LOOK_ALIKES)]
)
def test_look_alikes_stay(type, text):
    assert type not in types(text)


def test_the_nearer_word_wins():
    assert types("his passport, and the order number 912803456") & {"PASSPORT", "BANK_ACCOUNT"} == set()
    assert ("BANK_ACCOUNT", "912803456") in found("no passport but account number 912803456")


def test_a_field_name_counts_as_a_word_before_the_text():
    assert types("912803456") & {"PASSPORT"} == set()
    assert found("912803456", label="passport_no") == [("PASSPORT", "912803456")]


TD3 = "P<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<<<<<<<<<\nL898902C36UTO7408122F1204159ZE184226B<<<<<10"
TD2 = "I<UTOERIKSSON<<ANNA<MARIA<<<<<<<<<<<\nD231458907UTO7408122F1204159<<<<<<<6"
TD1 = "I<UTOD231458907<<<<<<<<<<<<<<<\n7408122F1204159UTO<<<<<<<<<<<6\nERIKSSON<<ANNA<MARIA<<<<<<<<<<"


@pytest.mark.parametrize("zone", [TD3, TD2, TD1], ids=["td3", "td2", "td1"])
def test_machine_readable_zones_of_the_icao_specimens(zone):
    assert found(f"scan:\n{zone}\nend") == [("PASSPORT", zone)]
    assert found(zone.replace("\n", "\\n")) == [("PASSPORT", zone.replace("\n", "\\n"))]


@pytest.mark.parametrize("zone", [TD3, TD2, TD1], ids=["td3", "td2", "td1"])
def test_a_wrong_check_digit_is_no_zone(zone):
    assert "PASSPORT" not in types(zone.replace("7408122", "7408123"))
