"""Charsets: every label of the web, and every way in which marks, declarations and headers contradict the bytes."""

import codecs
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.core.text import charset

# The labels of the WHATWG Encoding Standard (https://encoding.spec.whatwg.org/#names-and-labels) by the codec that
# reads them; without ASCII's, which say nothing, and those of its "replacement".
WHATWG = {
    "utf-8": "unicode-1-1-utf-8 unicode11utf8 unicode20utf8 utf-8 utf8 x-unicode20utf8",
    "cp866": "866 cp866 csibm866 ibm866",
    "iso8859-2": "csisolatin2 iso-8859-2 iso-ir-101 iso8859-2 iso88592 iso_8859-2 iso_8859-2:1987 l2 latin2",
    "iso8859-3": "csisolatin3 iso-8859-3 iso-ir-109 iso8859-3 iso88593 iso_8859-3 iso_8859-3:1988 l3 latin3",
    "iso8859-4": "csisolatin4 iso-8859-4 iso-ir-110 iso8859-4 iso88594 iso_8859-4 iso_8859-4:1988 l4 latin4",
    "iso8859-5": ("csisolatincyrillic cyrillic iso-8859-5 iso-ir-144 iso8859-5 iso88595 iso_8859-5 iso_8859-5:1988"),
    "iso8859-6": (
        "arabic asmo-708 csiso88596e csiso88596i csisolatinarabic ecma-114 iso-8859-6 iso-8859-6-e"
        " iso-8859-6-i iso-ir-127 iso8859-6 iso88596 iso_8859-6 iso_8859-6:1987"
    ),
    "iso8859-7": (
        "csisolatingreek ecma-118 elot_928 greek greek8 iso-8859-7 iso-ir-126 iso8859-7 iso88597 iso_8859-7"
        " iso_8859-7:1987 sun_eu_greek"
    ),
    "iso8859-8": (
        "csiso88598e csiso88598i csisolatinhebrew hebrew iso-8859-8 iso-8859-8-e iso-8859-8-i iso-ir-138"
        " iso8859-8 iso88598 iso_8859-8 iso_8859-8:1988 logical visual"
    ),
    "iso8859-10": "csisolatin6 iso-8859-10 iso-ir-157 iso8859-10 iso885910 l6 latin6",
    "iso8859-13": "iso-8859-13 iso8859-13 iso885913",
    "iso8859-14": "iso-8859-14 iso8859-14 iso885914",
    "iso8859-15": "csisolatin9 iso-8859-15 iso8859-15 iso885915 iso_8859-15 l9",
    "iso8859-16": "iso-8859-16",
    "koi8_r": "cskoi8r koi koi8 koi8-r koi8_r",
    "koi8_u": "koi8-ru koi8-u",
    "mac_roman": "csmacintosh mac macintosh x-mac-roman",
    "cp874": "dos-874 iso-8859-11 iso8859-11 iso885911 tis-620 windows-874",
    "cp1250": "cp1250 windows-1250 x-cp1250",
    "cp1251": "cp1251 windows-1251 x-cp1251",
    "cp1252": (
        "cp1252 cp819 csisolatin1 ibm819 iso-8859-1 iso-ir-100 iso8859-1 iso88591 iso_8859-1 iso_8859-1:1987"
        " l1 latin1 windows-1252 x-cp1252"
    ),
    "cp1253": "cp1253 windows-1253 x-cp1253",
    "cp1254": (
        "cp1254 csisolatin5 iso-8859-9 iso-ir-148 iso8859-9 iso88599 iso_8859-9 iso_8859-9:1989 l5 latin5"
        " windows-1254 x-cp1254"
    ),
    "cp1255": "cp1255 windows-1255 x-cp1255",
    "cp1256": "cp1256 windows-1256 x-cp1256",
    "cp1257": "cp1257 windows-1257 x-cp1257",
    "cp1258": "cp1258 windows-1258 x-cp1258",
    "mac_cyrillic": "x-mac-cyrillic x-mac-ukrainian",
    "gb18030": "chinese csgb2312 csiso58gb231280 gb18030 gb2312 gb_2312 gb_2312-80 gbk iso-ir-58 x-gbk",
    "big5hkscs": "big5 big5-hkscs cn-big5 csbig5 x-x-big5",
    "euc_jp": "cseucpkdfmtjapanese euc-jp x-euc-jp",
    "iso2022_jp_ext": "csiso2022jp iso-2022-jp",
    "cp932": "csshiftjis ms932 ms_kanji shift-jis shift_jis sjis windows-31j x-sjis",
    "cp949": (
        "cseuckr csksc56011987 euc-kr iso-ir-149 korean ks_c_5601-1987 ks_c_5601-1989 ksc5601 ksc_5601 windows-949"
    ),
    "utf-16-be": "unicodefffe utf-16be",
    "utf-16-le": "csunicode iso-10646-ucs-2 ucs-2 unicode unicodefeff utf-16 utf-16le",
}
MISSPELT = {
    "cp-1251": "cp1251", "win-1251": "cp1251", "windows_1251": "cp1251", "CP1251": "cp1251", "ms-1251": "cp1251",
    "utf-8mb4": "utf-8", "UTF_8": "utf-8", "utf–8": "utf-8", "utf 8": "utf-8", "cp65001": "utf-8",
    "windows-949": "cp949", "x-windows-949": "cp949", "x-euc-cn": "gb18030", "cp936": "gb18030", "shift-jis-": "cp932",
    "iso8859_5": "iso8859-5", "ISO8859-15": "iso8859-15", "iso_8859-16:2001": "iso8859-16", "iso-8559-1": "cp1252",
    "latin-1": "cp1252", "koi8 r": "koi8_r", "ibm-866": "cp866", "cp437": "cp437", "UNICODE": "utf-16-le",
}  # fmt: skip
TEXTS = {
    "cp1251": "Турция получила С-400, «Известия»",
    "koi8_r": "Турция получила С-400",
    "iso8859-5": "Турция получила С-400",
    "cp866": "Турция получила С-400",
    "mac_cyrillic": "Турция получила",
    "koi8_u": "Україна отримала ракети",
    "gb18030": "国防部谈导弹系统交付俄罗斯",
    "big5hkscs": "國防部談導彈系統交付俄羅斯",
    "cp932": "防衛省はミサイルの納入①について",
    "euc_jp": "防衛省はミサイルの納入について",
    "cp949": "국방부는 미사일 인도에 대해",
    "iso2022_jp_ext": "防衛省はミサイルの納入",
    "cp1252": "Le système a été livré – l’armée",
    "cp1250": "Turecko převzalo žluťoučký",
    "cp1253": "Η Τουρκία παρέλαβε",
    "cp1254": "Türkiye füzelerini aldı, ışık",
    "cp1255": "טורקיה קיבלה",
    "cp1256": "تركيا تستلم",
    "cp1257": "Turkija gavo žvaigždę",
    "cp1258": "Thô nhi",
    "cp874": "ตุรกีได้รับขีปนาวุธ",
    "iso8859-2": "převzalo žluťoučký",
    "iso8859-7": "Η Τουρκία",
    "iso8859-15": "œuvre à 5 €",
    "mac_roman": "été",
}
WIDE = {
    "utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE, "utf-32-be": codecs.BOM_UTF32_BE,
}  # fmt: skip
MIXED = "Турция 国防部 été 😀"
NONE = ""


def document(text: str, declared: str = NONE) -> str:
    """A feed with a title, and a declaration if a label is given."""
    declaration = f"<?xml version='1.0' encoding='{declared}'?>\n" if declared else ""
    return f"{declaration}<rss><channel><title>{text}</title></channel></rss>"


def sent(label: str) -> str:
    """A media type with this charset."""
    return f"text/xml; charset={label}" if label else "text/xml"


def read(body: bytes, content_type: str = "text/xml") -> str:
    """The text of the document's title."""
    text = charset.whole(charset.as_utf8(body, content_type)).decode("utf-8-sig")
    return text.partition("<title>")[2].partition("</title>")[0]


@pytest.mark.parametrize(("codec", "labels"), WHATWG.items())
def test_every_label_of_the_web_is_known(codec: str, labels: str) -> None:
    """In any case, with any punctuation."""
    assert {charset.codec(label) for label in labels.split()} == {codec}
    assert {charset.codec(label.upper().replace("-", "_")) for label in labels.split()} == {codec}


@pytest.mark.parametrize(("label", "codec"), MISSPELT.items())
def test_labels_as_people_write_them(label: str, codec: str) -> None:
    """A label is read by what it means."""
    assert charset.codec(label) == codec


@pytest.mark.parametrize(
    "label", ["", "x-unknown", "us-ascii", "binary", "rot13", "base64", "zip", "idna", "undefined", "?"]
)
def test_labels_that_name_no_charset(label: str) -> None:
    """Nor is every codec of Python's one."""
    assert charset.codec(label) is None


@given(st.text(max_size=30))
def test_no_label_is_dangerous(label: str) -> None:
    """Whatever it is, it names a codec that decodes bytes to text, or none."""
    found = charset.codec(label)
    assert found is None or isinstance(b"<a/>".decode(found, "replace"), str)


@pytest.mark.parametrize("codec", TEXTS)
def test_a_charset_holds_where_one_claims_it(codec: str) -> None:
    """The document or, where that says nothing or nonsense, HTTP; claims that the bytes refute do not count."""
    text = TEXTS[codec]
    assert read(document(text, codec).encode(codec)) == text
    for declared, header in product(
        [codec, NONE, "x-unknown", "us-ascii", "utf-8", "utf-16"], [codec, NONE, "utf-8", "UTF-16", "?"]
    ):
        if codec in (declared, header):
            assert read(document(text, declared).encode(codec), sent(header)) == text, (declared, header)


@pytest.mark.parametrize("codec", TEXTS)
def test_the_declaration_is_believed_before_the_header(codec: str) -> None:
    """Both decode; the document knows itself better than its server does."""
    other = "windows-1252" if codec != "cp1252" else "windows-1251"
    assert read(document(TEXTS[codec], codec).encode(codec), sent(other)) == TEXTS[codec]


@pytest.mark.parametrize(
    ("declared", "header"),
    list(product([NONE, "utf-8", "windows-1251", "gb2312", "iso-8859-1", "x-unknown", "UTF-16"], repeat=2)),
)
def test_utf8_is_known_by_itself(declared: str, header: str) -> None:
    """With and without its mark, whatever is said of it."""
    body = document(MIXED, declared).encode()
    assert read(body, sent(header)) == MIXED
    assert read(codecs.BOM_UTF8 + body, sent(header)) == MIXED


@pytest.mark.parametrize("codec", WIDE)
@pytest.mark.parametrize(
    ("declared", "header"),
    list(
        product([NONE, "utf-16", "utf-8", "windows-1251", "utf-32", "x-unknown"], [NONE, "utf-8", "utf-16", "koi8-r"])
    ),
)
def test_wide_charsets_are_known_by_their_first_bytes(codec: str, declared: str, header: str) -> None:
    """With and without their mark, white space before it or not, a JSON document as well."""
    for before in ("", "\n", " \r\n"):
        body = (before + document(MIXED, declared)).encode(codec)
        assert read(body, sent(header)) == MIXED
        assert read(WIDE[codec] + body, sent(header)) == MIXED
    assert charset.as_utf8('{"title": "é"}'.encode(codec)) == '{"title": "é"}'.encode()


def test_ebcdic_is_known_by_its_first_bytes() -> None:
    """The declaration says which one."""
    assert read(document("100 €", "cp1140").encode("cp1140")) == "100 €"


@pytest.mark.parametrize(
    "codec", [name for name in TEXTS if name not in ("cp1258", "iso2022_jp_ext", "cp1257", "mac_roman", "koi8_u")]
)
def test_an_undeclared_charset_is_guessed(codec: str) -> None:
    """By the letters of the words; some charsets are too much alike to be told apart by a few words."""
    alike = {"iso8859-2", "iso8859-7", "iso8859-15", "mac_cyrillic"}
    for label in (NONE, "x-unknown", "us-ascii", "utf-8"):
        text = read(document(TEXTS[codec], label).encode(codec))
        assert text == TEXTS[codec] or codec in alike, label


@given(
    st.text(st.characters(min_codepoint=0x400, max_codepoint=0x45F), min_size=12, max_size=60),
    st.integers(0, 11),
    st.sampled_from([b"\xff", b"\xd0", b"\xe2\x82", b"\xf0\x9f\x98", b"\x98", b"\xc0\xaf"]),
    st.sampled_from([NONE, "utf-8", "windows-1251", "x-unknown"]),
)
def test_a_bad_byte_costs_one_character(text: str, place: int, bad: bytes, declared: str) -> None:
    """And not the document: everything else is read."""
    raw = text[:place].encode() + bad + b"|" + text[place:].encode()
    body = document("@", declared).encode().replace(b"@", raw)
    found = read(body)
    if declared != "windows-1251":
        assert found.replace("\ufffd", "") == f"{text[:place]}|{text[place:]}"
        assert 1 <= found.count("\ufffd") <= 2


@pytest.mark.parametrize("half", [b"\xed\xa0\x80", b"\xed\xbf\xbf", b"\xed\xa0\xbd \xed\xb8\x80"])
def test_half_a_letter_costs_one_character(half: bytes) -> None:
    """A surrogate of CESU-8 that stands alone makes no other charset of a short text."""
    mended = charset.whole("Türkiye ".encode() + half)
    assert mended.decode().replace("\ufffd", "").strip() == "Türkiye"
    assert mended.decode().count("\ufffd") == half.count(b"\xed")


@pytest.mark.parametrize("codec", ["gb18030", "big5hkscs", "cp932", "euc_jp", "cp949", "cp1251"])
def test_a_bad_byte_in_a_declared_charset(codec: str) -> None:
    """Half a letter before the closing tag takes no sign of markup with it."""
    bad = b"\xff" if codec != "cp1251" else b"\x98"
    body = document(TEXTS[codec], codec).encode(codec).replace(b"</title>", bad + b"</title>")
    assert read(body) == TEXTS[codec] + "\ufffd"


def test_letters_as_surrogates_are_joined() -> None:
    """CESU-8, as old databases write it."""
    assert read(document("a@b").encode().replace(b"@", "\ud83d\ude00".encode("utf-8", "surrogatepass"))) == "a😀b"


@given(st.binary(max_size=300), st.sampled_from([NONE, "utf-8", "gb2312", "x", "utf-16", "iso-2022-jp", "utf-7", "hz"]))
def test_no_bytes_are_dangerous(body: bytes, label: str) -> None:
    """Whatever they are, UTF-8 comes of them."""
    for document_ in (body, f"<?xml version='1.0' encoding='{label}'?>".encode() + body):
        charset.whole(charset.as_utf8(document_, sent(label))).decode()


def test_plain_documents_are_not_touched() -> None:
    """What is UTF-8 stays the very same bytes: the commonest document costs nothing."""
    for body in (document(MIXED).encode(), document("plain", "iso-8859-1").encode(), document(MIXED, "UTF-8").encode()):
        assert charset.whole(charset.as_utf8(body, "application/rss+xml")) is body


@pytest.mark.parametrize("label", ["ebcdic-cp-us", "cp037", "cp500", "IBM1140", "utf-7x"])
def test_a_label_of_ebcdic_on_readable_text_is_wrong(label: str) -> None:
    """Its declaration could not have been read."""
    assert read(document("Ørlandet №", label).encode()) == "Ørlandet №"


@pytest.mark.parametrize("codec", ["iso2022_jp", "iso2022_kr"])
@pytest.mark.parametrize("declared", [NONE, "utf-8", "us-ascii", "Shift_JIS"])
def test_escapes_tell_iso_2022(codec: str, declared: str) -> None:
    """XML has no such character, so no label says otherwise."""
    text = "ミサイル契約" if codec == "iso2022_jp" else "국방부 발표"
    assert read(document(text, declared).encode(codec)) == text


def test_what_somebody_chose_goes_before_a_default() -> None:
    """ISO 8859-1 is what templates declare; it holds where the text is of western Europe."""
    russian, german = "Турция получила", "Über die Brücke geführt"
    assert read(document(russian, "iso-8859-1").encode("cp1251"), sent("windows-1251")) == russian
    assert read(document(german, "iso-8859-1").encode("cp1252"), sent("windows-1251")) == german


def test_japanese_is_not_taken_for_thai() -> None:
    """Whose letters that nobody uses are the first halves of kana."""
    text = "防衛省、ミサイル契約を発表"
    assert read(document(text).encode("euc_jp")) == text
    assert read(document("ตุรกีได้รับขีปนาวุธ").encode("tis_620")) == "ตุรกีได้รับขีปนาวุธ"
