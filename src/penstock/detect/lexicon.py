"""The words that speak for or against a class, in the languages their documents are written in.

A tag is what the word says the value near it is. `order` and `version` speak against everything.
"""

# ruff: noqa: E501 (a pattern or a list of words reads best in one line)

_PHRASES: dict[str, str] = {
    "passport": """passport; passports; passport no; passport number; passportnumber; passport nr; travel document;
        reisepass; reisepassnummer; passnummer; pass nr; passport #; passeport; pasaporte; passaporto; passaporte;
        paszport; paszportu; paszportem; paspoort; útlevél; pas cestovní; cestovní pas; pasaport; 여권; 여권번호; 护照;
        护照号; パスポート; 旅券番号; паспорт; pass no""",
    "licence": """driver license; drivers license; driver s license; driver licence; drivers licence; driver s licence;
        driving licence; driving license; driving permit; license number; licence number; driver license number; dl; dln; dlno; dlnumber; cdl;
        license no; licence no; dl no; dl number; dvla; dmv; führerschein; fuhrerschein; führerscheinnummer; fahrerlaubnis;
        permis de conduire; permis conduire; patente; patente di guida; prawo jazdy; prawa jazdy; prawem jazdy;
        carnet de conducir; permiso de conducir; licencia de conducir; carteira de motorista; cnh; rijbewijs;
        rijbewijsnummer; körkort; førerkort; kørekort; ajokortti; 운전면허; 운전면허번호; 運転免許; 運転免許証; 免許証番号; 免許証; 運転免許証番号; 運転免許番号; 면허번호; 면허증""",
    "ssn": "ssn; ssns; social security; social security number; social security no; soc sec; social; ss no; ss number; ssn no",
    "itin": "itin; itins; individual taxpayer",
    "tax": """tax; tax id; tax identification; tax identification number; taxpayer; taxpayer id; taxpayer identification; taxpayer identification number; tin; ein; fein;
        employer identification; tax number; vat; vat id; vat number; vat no; ust idnr; ustidnr; ust id; umsatzsteuer;
        steuernummer; steuer id; steueridentifikationsnummer; idnr; partita iva; p iva; piva; iva; tva; btw; btw nummer;
        numéro fiscal; spi; utr; tfn; tax file; abn; gst; gstin; gst no; cnpj; pan; pan no; pan number; pan card; rfc; cuit;
        nip; numer identyfikacji podatkowej; inn; nif; cif; siren; siret; ic dph; dič; bir; irs; unique taxpayer; ynv; steuer""",
    "org": "regon; krs; handelsregister; companies house; ico; ičo; bin; acn; org nr",
    "pesel": "pesel; peselem; peselu; nr pesel; numer pesel",
    "natid": """national id; national identity; national insurance; national insurance number; nino; ni number; ni no; nhs;
        nhs number; nhs no; sin; social insurance; social insurance number; nas; medicare; medicare number; medicare id; mbi;
        npi; aadhaar; aadhar; uidai; uid; voter id; epic; nric; fin; fin no; bsn;
        burgerservicenummer; sofi; cpf; dni; nie; curp; rut; run; cédula; cedula; ci; codice fiscale; cf; carta d identità;
        carta d identita; personnummer; samordningsnummer; fødselsnummer; fodselsnummer; cpr; cpr nr; hetu;
        henkilötunnus; isikukood; asmens kodas; personas kods; rodné číslo; rodne cislo; rodné; rč; cnp; egn; егн; oib; jmbg;
        emšo; amka; αμκα; tc kimlik; kimlik; tc no; tckn; rrn; 주민등록번호; 주민번호; resident registration; rsa id;
        sa id; south african id; thai id; nir; insee; sécurité sociale;
        securite sociale; numéro de sécurité sociale; rvnr; sozialversicherungsnummer; sozialversicherung; svnr;
        rentenversicherungsnummer; versicherungsnummer; lanr; arztnummer; personalausweis; ausweisnummer; dowód;
        dowód osobisty; dowodu; dowodu osobistego; dowodem; dowodem osobistym; dowod; numer dowodu; legitymującym;
        ahv; avs; ahv nummer; pps; ppsn; pps number; nin; tfn no; crn; ihi; kvnr; krankenversichertennummer;
        kennitala; numéro national; rijksregisternummer; niss; my number; マイナンバー; 个人番号; 身份证; 身份证号;
        身份证号码""",
    "someid": """id; identity number; identity card; id card; id number; id no; personal id; identification number;
        identification no; identification; citizen id; citizenship number; permanent resident; refugee id; resident;
        provider identifier; national provider; patient; provider; identity; ids""",
    "account": """account; account number; account no; acct; acct no; a c; bank account; account details; checking; savings;
        checking account; savings account; bank account number; kontonummer; konto; konta; nr konta; rachunku; nr rachunku;
        numer rachunku; numéro de compte; compte bancaire; cuenta; numero de cuenta; conto corrente; rekeningnummer; accnum;
        account num; beneficiary account; conto; bank""",
    "iban": "iban; ibans",
    "routing": "routing; routing number; routing no; aba; rtn; transit number; sort code; bsb; blz; bankleitzahl; ifsc; swift; bic; micr",
    "card": """card; card number; credit card; debit card; cc; ccn; visa; mastercard; amex; kreditkarte; carte; tarjeta; karta;
        karty; numer karty; card no; pan card number; credit; 卡号; 信用卡; 银行卡; カード番号; 카드; 카드번호""",
    "phone": """phone; phones; phone number; phone no; telephone; tel; tel no; mobile; mobil; cell; cellphone; cell phone; fax; call;
        dial; whatsapp; sms; handy; telefon; telefonu; telefono; teléfono; téléphone; telefoon; portable; mob; ph; hotline;
        contact number; contact no; callback; call me; reach me; reached; text me; ring; telefonnummer; komórkowy; tel kom; desk;
        helpline; pager; landline; gsm; 전화; 전화번호; 電話; 电话; 手机; телефон; numer telefonu; nr tel; contact; viber; signal;
        phone numbers; my number; my number is; extension; ext""",
    "birth": """dob; d o b; date of birth; birth date; birthdate; birthday; born; born on; geboren; geboren am; geburtsdatum;
        né le; née le; date de naissance; fecha de nacimiento; nacido; nacida; data di nascita; nato il; nata il; data urodzenia;
        urodzony; urodzona; ur; geboortedatum; födelsedatum; data de nascimento; nacimiento; birth; 생년월일; 生年月日; 出生日期""",
    "plate": "plate; license plate; licence plate; number plate; registration number; vehicle registration; kennzeichen; rejestracyjny; vin",
    "order": """order; orders; order no; order number; order id; order #; invoice; invoice no; invoice number; inv; tracking;
        tracking number; track; shipment; parcel; package; sku; isbn; issn; ean; upc; asin; doi; part; part no; part number;
        model; serial; serial number; batch; lot; ticket; case; case no; case number; reference; ref; ref no; booking;
        confirmation; quote; po; rma; faktura; faktury; zamówienie; zamówienia; bestellung; bestellnummer; rechnung;
        rechnungsnummer; rechnungsnr; artikel; artikelnummer; commande; facture; pedido; factura; zamowienie; numer faktury;
        item; inventory; product; asset; request id; trace; trace id; job; run id; build; transaction; transaction id; txn;
        employee; employee id; patient id; mrn; customer id; flight; population; users; user id; row; sequence; bug; issue; pr""",
    "version": """version; v; ver; commit; sha; rev; revision; hash; checksum; digest; md5; uuid; guid; timestamp; epoch; seed; pid;
        port; error; errno; code; line; size; bytes; offset; address of; ms; px; total; sum; price; amount; cost; salary; usd; eur""",
}

LEXICON: dict[str, str] = {}
for _tag, _text in reversed(_PHRASES.items()):
    for _phrase in filter(None, map(str.strip, _text.split(";"))):
        LEXICON[" ".join(_phrase.split())] = _tag

LAST_WORDS: dict[str, int] = {}
"""Every phrase's last word, with the number of words of the longest phrase that ends in it."""
WORDS_BEFORE: dict[str, set[str]] = {}
"""What stands before that last word in those phrases."""
LONGER: dict[str, set[str]] = {}
"""What may stand before the end of a phrase so that it is still the end of one."""
for _phrase in LEXICON:
    _parts = _phrase.split()
    LAST_WORDS[_parts[-1]] = max(len(_parts), LAST_WORDS.get(_parts[-1], 1))
    WORDS_BEFORE.setdefault(_parts[-1], set()).update(_parts[-2:-1])
    for _at in range(1, len(_parts)):
        LONGER.setdefault(" ".join(_parts[_at:]), set()).add(_parts[_at - 1])

EARLIER_WORDS = frozenset(word for phrase in LEXICON for word in phrase.split()[:-1])
"""Words that a phrase can go on from."""
LATER_WORDS = frozenset(word for phrase in LEXICON for word in phrase.split()[1:])
"""Words that go on with a phrase."""
