"""A text that opens every common gate. RE2 builds its automata while it reads; this reading is done at start."""

# ruff: noqa: E501 (a pattern or a list of words reads best in one line)

WARM = """
Dear Ms Jane Roe, thank you for your message of 12 March 2024. My name is John Q. Public, born on 03/15/1989 in Springfield, and I
live at 1600 Long Meadow Avenue, Suite 12, Springfield, IL 62704. You can call me at (555) 201-3344 or +44 20 7946 0958, my e-mail is
jane.roe+list@mail.example.org, account number 12345678 at the bank, routing number 021000021, IBAN GB29 NWBK 6016 1331 9268 19.
The card 4111 1111 1111 1111 was charged $1,234.56 for order no. 2024-000123; tax id 12-3456789, SSN 078-05-1120, passport no. X1234567,
driver's license number D123-4567-8901, expires 2028-01-31. PESEL: 44051401458, NIP 123-456-32-18, ul. Polna 12/3, Musterstrasse 5.
Regards,
Jane Roe
From: Jane Roe <jane.roe@example.org>
Server 10.0.0.1 and 2001:db8::8a2e:370:7334 at 12:30:45, mac 00:1b:63:84:45:e6, version 1.2.3, 50% of 1200 / 3 = 200 (20 + 30) * 4.
def load(path: str, key="name", token=None) -> dict[str, int]:
    password = "correct-Horse-7"  # api_key = 'A1b2C3d4E5f6G7h8'
    return {i: x[i:i + 2] for i in range(10) if x != [1, 2, 3.5] and "abc" not in values}
export SECRET_TOKEN=9f8e7d6c5b4a39281706f5e4d3c2b1a0; curl -u admin:Pa55word! https://user:s3cr3t@host.example.com/a?b=1&c=2
{"name": "Jane Roe", "phone": "555-201-3344", "id": "DE123456789", "secret": "x9Y8z7W6v5U4t3S2", "iban": "DE44500105175407324931"}
-----BEGIN PRIVATE KEY-----
MIIBVAIBADANBgkqhkiG9w0BAQEFAASCAT4wggE6AgEAAkEAxAIxg6Qtxm
-----END PRIVATE KEY-----
patient Jane Roe, employee John Public; Mr. Brown, Dr Green and Herr Braun; rue de la Paix 5; P.O. Box 123; Bearer abc.def.ghi
"""
