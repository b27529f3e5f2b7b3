"""Names of languages and the codes (ISO 639-1) that rules use."""

from collections.abc import Iterator
from difflib import get_close_matches
from functools import lru_cache

from aggregator.core.text.fold import fold
from aggregator.core.text.language import language

_NAMES = """
aa afar, ab abkhazian, ae avestan, af afrikaans, ak akan, am amharic, an aragonese, ar arabic, as assamese, av avaric,
ay aymara, az azerbaijani azeri, ba bashkir, be belarusian, bg bulgarian, bh bihari, bi bislama, bm bambara,
bn bengali bangla, bo tibetan, br breton, bs bosnian, ca catalan, ce chechen, ch chamorro, co corsican, cr cree,
cs czech čeština, cu slavonic, cv chuvash, cy welsh, da danish dansk, de german deutsch, dv divehi, dz dzongkha, ee ewe,
el greek ελληνικά, en english, eo esperanto, es spanish español castellano, et estonian, eu basque,
fa persian farsi dari فارسی, ff fulah, fi finnish suomi, fj fijian, fo faroese, fr french français, fy frisian,
ga irish, gd gaelic, gl galician, gn guarani, gu gujarati, gv manx, ha hausa, he hebrew עברית, hi hindi हिन्दी,
ho hirimotu, hr croatian hrvatski, ht haitian, hu hungarian magyar, hy armenian, hz herero, ia interlingua,
id indonesian, ie interlingue, ig igbo, ii nuosu, ik inupiaq, io ido, is icelandic, it italian italiano, iu inuktitut,
ja japanese 日本語, jv javanese, ka georgian, kg kongo, ki kikuyu, kj kuanyama, kk kazakh, kl greenlandic, km khmer,
kn kannada, ko korean 한국어, kr kanuri, ks kashmiri, ku kurdish, kv komi, kw cornish, ky kyrgyz, la latin,
lb luxembourgish, lg ganda, li limburgish, ln lingala, lo lao, lt lithuanian, lu luba, lv latvian, mg malagasy,
mh marshallese, mi maori, mk macedonian, ml malayalam, mn mongolian, mr marathi, ms malay, mt maltese, my burmese,
na nauru, nd ndebele, ne nepali, ng ndonga, nl dutch nederlands flemish, no norwegian norsk bokmål nynorsk, nr ndebele,
nv navajo, ny chichewa, oc occitan, oj ojibwe, om oromo, or odia oriya, os ossetian, pa punjabi, pi pali,
pl polish polski, ps pashto, pt portuguese português, qu quechua, rm romansh, rn rundi, ro romanian moldovan română,
ru russian русский, rw kinyarwanda, sa sanskrit, sc sardinian, sd sindhi, se sami, sg sango, si sinhala, sk slovak,
sl slovenian slovene, sm samoan, sn shona, so somali, sq albanian, sr serbian srpski, ss swati, st sotho, su sundanese,
sv swedish svenska, sw swahili, ta tamil, te telugu, tg tajik, th thai, ti tigrinya, tk turkmen, tn tswana, to tongan,
tr turkish türkçe, ts tsonga, tt tatar, tw twi, ty tahitian, ug uyghur, uk ukrainian українська, ur urdu, uz uzbek,
ve venda, vi vietnamese, vo volapük, wa walloon, wo wolof, xh xhosa, yi yiddish, yo yoruba, za zhuang,
zh chinese mandarin 中文, zu zulu, fil filipino tagalog
"""
# Codes of countries, and three-letter codes, where a language is meant.
_MISTAKEN = """
ja jp jpn, zh cn tw hk zho chi cmn, uk ua ukr, cs cz ces cze, da dk dan, el gr ell gre, en us gb eng, be by bel,
sr rs srp, sq al sqi alb, fa ir fas per, he il heb, ar ara iq eg sy, ko kor, de deu ger at, fr fra fre, es spa sp mx,
it ita, pt por, nl nld dut, sv swe, no nor nob nno, fi fin, pl pol, tr tur, ru rus, hu hun, ro ron rum, bg bul, hi hin,
ur urd pk, vi vie vn, th tha, id ind, hy arm hye, ka geo kat, az aze, kk kaz, et est, lv lav, lt lit
"""
# Languages without a code of two letters that are guessed or that feeds are written in.
_LONGER = """
als arz ast azb bar bcl bpy bxr cbk ceb ckb diq dsb dty eml frr gom gsw haw hif hmn hsb ilo jbo kab krc lez lmo lrc
mai mhr min mrj mwl myv mzn nah nap nds new pam pap pfl pms pnb prs rue sah scn sco shn szl tet tyv und vec vep vls war
wuu xal xmf yue zgh
"""


def suggest_code(tag: str) -> str | None:
    """Suggest a code in place of `tag`, or "" if none is near. None: it is a code already."""
    code = language(tag)
    if code in _codes():
        return None
    called = _called()
    near = get_close_matches(fold(tag.strip()), called, n=1, cutoff=0.75)
    return called[near[0]] if near else ""


@lru_cache(maxsize=1)
def _codes() -> frozenset[str]:
    return frozenset((*(code for code, _ in _pairs(_NAMES)), *_LONGER.split()))


@lru_cache(maxsize=1)
def _called() -> dict[str, str]:
    """Map every other name of a language, folded, to its code."""
    return {fold(name): code for code, name in (*_pairs(_MISTAKEN), *_pairs(_NAMES)) if name != code}


def _pairs(table: str) -> Iterator[tuple[str, str]]:
    for row in table.split(","):
        code, *names = row.split()
        yield code, code
        yield from ((code, name) for name in names)
