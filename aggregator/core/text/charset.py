"""Conversion of bytes in any charset to UTF-8: labels as people write them, weighed against the bytes.

Priority if they contradict: a byte order mark, or the shape of UTF-16 and UTF-32 (XML 1.0, appendix F);
UTF-8 if somebody claims it and the bytes are UTF-8, or if they can hardly be anything else; the document's
own declaration; HTTP's header; a guess. A claim holds only if the bytes decode; docs/decisions/0010 says why.
"""

import codecs
import re
from functools import lru_cache

BOM = codecs.BOM_UTF8
# The labels of the WHATWG Encoding Standard that Python knows by no alias or reads as another charset, and what
# is written for them by mistake; both without punctuation. Python's codecs know the others.
_LABELS = {
    "utf-8": "unicode11utf8 unicode20utf8 xunicode20utf8 utf8mb4 utf8mb3 utf8bom unicode65001 cp65001 cesu8 wtf8",
    "cp866": "866 ibm866 csibm866 cp866 dos866 alt",
    "iso8859-2": "csisolatin2 isoir101 latin2 l2",
    "iso8859-3": "csisolatin3 isoir109",
    "iso8859-4": "csisolatin4 isoir110",
    "iso8859-5": "csisolatincyrillic cyrillic isoir144",
    "iso8859-6": "arabic asmo708 csiso88596e csiso88596i csisolatinarabic ecma114 iso88596e iso88596i isoir127",
    "iso8859-7": "csisolatingreek ecma118 elot928 greek greek8 isoir126 suneugreek",
    "iso8859-8": "csiso88598e csisolatinhebrew hebrew iso88598e isoir138 visual csiso88598i iso88598i logical",
    "iso8859-10": "csisolatin6 isoir157 l6 latin6",
    "iso8859-15": "csisolatin9 l9 latin9",
    "iso8859-14": "iso885914",
    "iso8859-13": "iso885913",
    "iso8859-16": "iso885916",
    "koi8_r": "cskoi8r koi koi8 koi8r",
    "koi8_u": "koi8u koi8ru",
    "mac_roman": "csmacintosh mac macintosh xmacroman",
    "mac_cyrillic": "xmaccyrillic xmacukrainian",
    "cp874": "dos874 iso885911 tis620 xtis620 windows874",
    "cp1252": "cp819 csisolatin1 ibm819 iso88591 isoir100 l1 latin1 iso85591 iso88951 iso8559 iso8859 ansi xansi",
    "cp1254": "csisolatin5 iso88599 isoir148 l5 latin5",
    "gb18030": "chinese csgb2312 csiso58gb231280 gb2312 gb231280 gbk isoir58 xgbk gb cp936 ms936 euccn xeuccn gb18030",
    "big5hkscs": "big5hkscs cnbig5 csbig5 xxbig5 big5 big5hk xbig5 big5eten big5tw xwindows950",
    "euc_jp": "cseucpkdfmtjapanese xeucjp xeuc eucjp",
    "iso2022_jp_ext": "csiso2022jp iso2022jp iso2022jp1 iso2022jp2 cp50220 cp50221 cp50222",
    "cp932": "csshiftjis ms932 mskanji shiftjis sjis windows31j xsjis xmscp932 cp943 cp932",
    "cp949": "cseuckr csksc56011987 euckr isoir149 korean ksc5601 ksc56011987 ksc56011989 ms949 uhc xwindows949 cp949",
    "hz": "hzgb2312 hz",
    "iso2022_kr": "csiso2022kr",
    "utf-16-le": "utf16le csunicode unicodefeff utf16 ucs2 iso10646ucs2 csucs2 u16 unicodelittle unicode",
    "utf-16-be": "utf16be unicodefffe unicodebig",
    "utf-32-le": "utf32 utf32le ucs4 iso10646ucs4 csucs4 u32",
    "utf-32-be": "utf32be",
}
# Labels that say no more than that nobody thought about it. ASCII is one: a document that goes beyond it is another.
_SAY_NOTHING = """
ansix341968 ascii isoir6 iso646us us usascii csascii none null default auto unknown undefined binary 8bit 7bit
identity utf charset encoding xuserdefined
"""
_NOTHING = frozenset(_SAY_NOTHING.split())
_CODECS = {label: codec for codec, labels in _LABELS.items() for label in labels.split()}
_NUMBERED = re.compile(r"(?:x|cs)?(?:cp|win|windows|ms|mswin|microsoftcp|ibm|oem|ansi|wincp|cpwindows)0*(\d+)")
_LATIN_NUMBER = re.compile(r"(?:x|cs)?(?:iso|is)?8859(\d{1,2})\w?")
_WIDE = frozenset({"utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"})
_SEVEN_BIT = re.compile(r"iso2022|hz$|utf-7$")
_LARGE = re.compile(r"gb|big5|cp9|euc|shift|johab|iso2022|hz$")
# What else may be meant by a label whose bytes do not all decode: the extensions of vendors.
_KIN = {
    "euc_jp": ("euc_jis_2004",),
    "big5hkscs": ("cp950",),
    "cp932": ("shift_jis_2004",),
    "iso2022_jp_ext": ("iso2022_jp_2004",),
}
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SHAPES = (  # of a sign that begins a document, and the next one
    (re.compile(rb"[<{\[\s]\0\0\0", re.DOTALL), "utf-32-le"),
    (re.compile(rb"\0\0\0[<{\[\s]", re.DOTALL), "utf-32-be"),
    (re.compile(rb"[<{\[\s]\0[^\0]\0", re.DOTALL), "utf-16-le"),
    (re.compile(rb"\0[<{\[\s]\0[^\0]", re.DOTALL), "utf-16-be"),
)
_EBCDIC = b"\x4c\x6f\xa7\x94"  # <?xm
_DECLARED = re.compile(rb"<\?xml[^>]{0,400}?\bencoding\s*=\s*[\"']?\s*([^\"'?>\s][^\"'?>]*)", re.IGNORECASE)
_SENT = re.compile(r";\s*charset\s*=\s*[\"']?\s*([^\"';,\s][^\"';,]*)", re.IGNORECASE)
_MARKUP = re.compile(rb"<[^<>]*>|https?://[^\s<\"]+|[\x00-\x1f]+")
_VALUES = re.compile(rb"[\x00-\x20\"'<>=]+")
_WORD = re.compile(r"[^\W\d_]+")
_WESTERN = frozenset("àâäáãåæçèéêëìíîïñòóôõöøœùúûüýÿßÀÂÄÁÃÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØŒÙÚÛÜ«»“”„‘’‚–—…·•°§©®™€£ºª¿¡²³½´\xa0\xad")
_SIMPLIFIED = (
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多定行学法所"
    "民得经十三之进着等部度家电力里如水化高自二理起小物现实加量都两体制机当使点从业本去把性好应开它合还因由其些然前外天政四日"
    "那社义事平形相全表间样与关各重新线内数正心反你明看原又么利比或但质气第向道命此变条只没结解问意建月公无系军很情者最立代想"
    "已通并提直题党程展五果料象员革位入常文总次品式活设及管特件长求老头基资边流路级少图山统接知较将组见计别她手期根论运农指几"
    "九区强放决西被干做必战先回则任取据处府收俄美报联弹导防"
)
_TRADITIONAL = (
    "的是不我一有在人了這中大來上國個到說們為子和你地出道也時年得就那要下以生會自著去之過家學對可她裡後小麼心多天而能好都然沒"
    "日於起還發成事只作當想看文無開手十用主行方又如前所本見經頭面公同三已老從動兩長部美軍統政府民新關與將報臺灣總聯合國際導彈防"
)
# What is guessed: charsets by the letters that their languages use most, and the range that these stand in.
_FREQUENT = (
    ("cp1251 koi8_r iso8859-5 cp866", "\u0400", "\u04ff", "оеаинтсрвлкмдпуяыь"),
    (
        "gb18030",
        "\u4e00",
        "\u9fff",
        _SIMPLIFIED,
    ),
    (
        "big5hkscs",
        "\u4e00",
        "\u9fff",
        _TRADITIONAL,
    ),
    (
        "cp932 euc_jp",
        "\u3041",
        "\u30fe",
        "のにはをたがでとしれさあいるなからてもこよスンルトリアイラクシレテロッドマジ",
    ),
    (
        "cp949",
        "\uac00",
        "\ud7a3",
        "이다의는에을를고가은기로하지한사대도어자리시인해나정일보국부제장전스그주원성구상수서라여러으과관연만공조미무선안",
    ),
    ("cp1253", "\u0370", "\u03ff", "αεοιτνησρυςάέόίήκπμλ"),
    ("cp1255", "\u05d0", "\u05ea", "יוהלאתשמנרבדכק"),
    ("cp1256", "\u0621", "\u06ff", "اليمنتروبةدعفهسكقحج"),
    ("cp874", "\u0e01", "\u0e5b", "านรกเองยลมดทวตสพะัี่้ไ"),
    ("cp1254", "ğ", "ş", "ışğİçöüâ"),
    ("cp1250", "ă", "ž", "ěščřžýáíéůúąęłńóśźżőűâăîșțđćöäü"),
)
_MARKS_OF_TEXT = frozenset("«»“”„‘’‚–—…·•°§©®™€£\xa0\xad№")
_OBSOLETE = frozenset("ฃฅ๚๛")  # letters that nobody uses, which are the first halves of others' letters
_SAMPLE_BYTES = 8192
_LIKELY = 0.2
_PAIR = re.compile(
    r"&#(5[56]\d{3}|[xX]0{0,4}[dD][89abAB][0-9a-fA-F]{2});&#(5[67]\d{3}|[xX]0{0,4}[dD][c-fC-F][0-9a-fA-F]{2});"
)
_NO_LETTERS = dict.fromkeys(range(0xF8F0, 0xF8F4), "\ufffd")  # what Python makes of four bytes in cp932
_LONE = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")  # half a letter of CESU-8
_CESU = re.compile(rb"\xed([\xa0-\xaf])([\x80-\xbf])\xed([\xb0-\xbf])([\x80-\xbf])")


@lru_cache(maxsize=1024)
def codec(label: str) -> str | None:
    """Return Python's codec for a charset's label, however it is spelt; None if it names no charset.

    As the WHATWG Encoding Standard has it: ISO 8859-1 is windows-1252, GB 2312 is read as GB 18030.
    """
    name = re.sub(r"[^0-9a-z]", "", label.lower())
    if not name or name in _NOTHING:
        return None
    if name in _CODECS:
        return _CODECS[name]
    if (found := _LATIN_NUMBER.fullmatch(name)) and 1 < int(found[1]) < 17:
        return _known(f"iso8859-{int(found[1])}")
    if found := _NUMBERED.fullmatch(name):
        return _CODECS.get(found[1]) or _CODECS.get(f"cp{found[1]}") or _known(f"cp{found[1]}")
    return _known(label.strip())


def _known(name: str) -> str | None:
    """Return a text codec of Python's, under our name for it."""
    try:
        found = codecs.lookup(name)
    except (LookupError, ValueError):
        return None
    if not getattr(found, "_is_text_encoding", False) or found.name in ("idna", "punycode", "undefined"):
        return None
    if found.name in ("raw-unicode-escape", "unicode-escape", "mbcs", "oem", "charmap", "ascii"):
        return None
    return _CODECS.get(re.sub(r"[^0-9a-z]", "", found.name), found.name)


def as_utf8(body: bytes, content_type: str = "") -> bytes:
    """Return a document in UTF-8: `body` itself if it claims to be that (it may hold bad bytes; see `whole`).

    `content_type` is the header's value. A byte order mark of UTF-8 stays.
    """
    if (wide := _wide(body)) is not None:
        return wide
    if body.startswith(_EBCDIC):
        body_head = body[:400].decode("cp037").encode("utf-8", "replace")
        return body.decode(_declared(body_head) or "cp037", "replace").encode()
    if b"\x1b$" in body and body.isascii() and (text := _with_escapes(body)) is not None:
        return text.encode()
    claims = [found for found in (_declared(body), _sent(content_type)) if found and _reads_ascii(found)]
    if body.startswith(BOM):
        claims.insert(0, "utf-8")
    if not claims:
        return whole(body)
    others = [name for name in dict.fromkeys(claims) if name != "utf-8"]
    if not others or (body.isascii() and not any(map(_SEVEN_BIT.match, others))):
        return body
    if body.startswith(BOM):
        body = body[len(BOM) :]
    return _weighed(body, others, claimed="utf-8" in claims)


@lru_cache(maxsize=256)
def _reads_ascii(name: str) -> bool:
    """Tell whether a charset may be that of a document whose beginning could be read (it is no EBCDIC)."""
    return b"<?xml".decode(name, "replace") == "<?xml"


def _with_escapes(body: bytes) -> str | None:
    """Decode ISO 2022, which is known by its escapes whatever the labels say; None if it is something else."""
    name = "iso2022_kr" if b"\x1b$)C" in body else "iso2022_jp_ext"
    text = _decoded(body, name)
    return None if text is None or _faults(text) or "\x1b" in text else text


def whole(body: bytes) -> bytes:
    """Return faultless UTF-8: a bad byte among good ones becomes U+FFFD, other charsets are guessed."""
    if body.isascii():
        return body
    if _is_utf8(body):
        return body
    body = joined(body)
    with_marks = _LONE.sub("\ufffd".encode(), body)
    return with_marks if _is_utf8(with_marks) else _weighed(body, (), claimed=True)


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def joined(body: bytes) -> bytes:
    """Join letters that UTF-8 writes as two surrogates (CESU-8)."""
    return _CESU.sub(_join, body) if b"\xed" in body else body


def _join(found: re.Match[bytes]) -> bytes:
    return found[0].decode("utf-8", "surrogatepass").encode("utf-16", "surrogatepass").decode("utf-16").encode()


def joined_references(text: str) -> str:
    """Join letters that markup writes as references to two surrogates (`&#55357;&#56832;`)."""
    return _PAIR.sub(_one_reference, text) if "&#" in text else text


def _one_reference(found: re.Match[str]) -> str:
    high, low = (int(half[1:], 16) if half[0] in "xX" else int(half) for half in found.groups())
    if 0xD800 <= high < 0xDC00 <= low < 0xE000:
        return f"&#{0x10000 + ((high - 0xD800) << 10) + low - 0xDC00};"
    return found[0]


def _declared(body: bytes) -> str | None:
    found = _DECLARED.search(body, 0, 1024)
    return codec(found[1].decode("latin-1")) if found else None


def _sent(content_type: str) -> str | None:
    found = _SENT.search(content_type)
    return codec(found[1]) if found else None


def _wide(body: bytes) -> bytes | None:
    """Decode text written in units of two or four bytes."""
    start = body[:4]
    if b"\0" not in start and start[:2] not in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return None
    named = next((name for mark, name in _MARKS if start.startswith(mark)), None)
    if named not in _WIDE:
        named = next((name for shape, name in _SHAPES if shape.match(body)), None)
    if named is None:
        return None
    text = body.decode(named, "replace").lstrip("\ufeff")
    begin = text[:200].lstrip()[:1]
    if begin not in ("<", "{", "[") and b"<" in body.lstrip(b"\xff\xfe")[:1]:
        return None  # a byte order mark before text that is not of its kind
    return text.encode("utf-8", "replace")


def _weighed(body: bytes, claims: "list[str] | tuple[str, ...]", *, claimed: bool) -> bytes:
    """Decode bytes that are not known to be UTF-8 by `claims`, in order; `claimed`: UTF-8 is one of them."""
    text, bad = _as_utf8(body)
    good = _beyond_ascii(text) - bad
    seven_bit = any(map(_SEVEN_BIT.match, claims))
    if not bad and not seven_bit and (claimed or not claims or good >= _enough(claims[0])):
        return body
    if bad and good >= (bad if claimed and not claims else max(8, 10 * bad)):
        return text.encode()
    if len(claims) > 1 and "cp1252" in claims and not _is_western(_sample(body)):
        claims = sorted(claims, key="cp1252".__eq__)  # the default of many programs goes behind what somebody chose
    for name in claims:
        found = _decoded(body, name)
        if found is not None and (_faults(found) < 2 or _faults(found) * 5 <= _beyond_ascii(found)):
            return found.encode("utf-8", "replace")
    if good >= max(1, bad):
        return text.encode()
    return _guessed(body).encode("utf-8", "replace")


def _as_utf8(body: bytes) -> tuple[str, int]:
    """Decode as UTF-8 and count the bad places; only a sample if it is plainly another charset.

    Each bad byte costs a microsecond, and all letters of another charset are bad.
    """
    try:
        return body.decode(), 0
    except UnicodeDecodeError as error:
        sample = body[max(0, error.start - 512) : error.start + 1024].decode("utf-8", "replace")
        bad = sample.count("\ufffd")
        if bad > 8 and 2 * bad > _beyond_ascii(sample):
            return sample, bad
    text = body.decode("utf-8", "replace")
    return text, text.count("\ufffd") - body.count(b"\xef\xbf\xbd")


def _enough(name: str) -> int:
    """Return how many letters of UTF-8 rule out that a document is in another charset by chance."""
    if name == "cp1252":
        return 1
    return 12 if _LARGE.match(name) else 4


def _decoded(body: bytes, name: str) -> str | None:
    """Decode as `name` (or a charset of its family), with U+FFFD for undefined bytes."""
    best: str | None = None
    for one in (name, *_KIN.get(name, ())):
        try:
            text = body.decode(one, "replace").translate(_NO_LETTERS)
        except (LookupError, UnicodeError, ValueError):
            continue
        if best is None or _faults(text) < _faults(best):
            best = text
        if not _faults(best):
            break
    return best


def _faults(text: str) -> int:
    return text.count("\ufffd")


def _beyond_ascii(text: str) -> int:
    """Count the characters beyond ASCII."""
    return len(text) - len(text.encode("ascii", "ignore"))


def _guessed(body: bytes) -> str:
    """Guess the charset by the letters of its words; windows-1252 if they do not tell."""
    words = _sample(body)
    if _is_western(words):
        return body.decode("cp1252", "replace")
    scores = {
        name: _likeness(text, first, last, frequent)
        for names, first, last, frequent in _FREQUENT
        for name in names.split()
        if (text := _decoded(words, name)) is not None
    }
    best = max(scores, key=scores.__getitem__)
    return _decoded(body, best if scores[best] > _LIKELY else "cp1252") or ""


def _sample(body: bytes) -> bytes:
    """Return words beyond ASCII."""
    pieces = [part for part in _MARKUP.split(body) if not part.isascii()]
    pieces = pieces or [part for part in _VALUES.split(body) if not part.isascii()]  # all of it is in attributes
    return b" ".join(pieces)[:_SAMPLE_BYTES]


def _is_western(words: bytes) -> bool:
    western = words.decode("cp1252", "replace")
    return {char for char in western if not char.isascii()} <= _WESTERN and _is_mostly_ascii(western)


def _likeness(text: str, first: str, last: str, frequent: str) -> float:
    """Score from -3 to 1 how well the letters beyond ASCII fit a language."""
    points = count = 0.0
    for char in text:
        if char.isascii():
            continue
        count += 1
        if char in frequent:
            points += 1
        elif char == "\ufffd":
            points -= 3
        elif char in _OBSOLETE:
            points -= 1
        elif first <= char <= last:
            points += 0.1 if char.isupper() else 0.4
        elif "\u4e00" <= char <= "\u9fff" and first == "\u3041":
            points += 0.4  # Japanese is written in both
        elif not (char in _MARKS_OF_TEXT or "\u3000" <= char <= "\u3020" or "\uff01" <= char <= "\uff5e"):
            points -= 1
    return points / count if count else 0.0


def _is_mostly_ascii(text: str) -> bool:
    """Tell whether words with letters beyond ASCII are mostly ASCII, as those of western Europe are."""
    letters = "".join(word for word in _WORD.findall(text) if not word.isascii())
    return 2 * _beyond_ascii(letters) <= len(letters)
