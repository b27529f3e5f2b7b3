"""Small words that some scripts write without a blank before or after a name.

Korean particles follow it (`터키가`, `북한에서`), the Arabic conjunctions, prepositions and article and
their Hebrew sisters precede it, one or several of them (`بغزة`, `والتحالف`, `וכשבטורקיה`). They may be
absent or present, as English blanks and Turkish apostrophes are. A remainder of fewer than three
letters is no match, nor is what is left of an everyday word that only looks like a name with a prefix.
"""

from functools import lru_cache
from itertools import product

from aggregator.core.text.fold import fold

_PARTICLES = frozenset(
    fold(
        """
        이 가 을 를 은 는 의 에 에서 에게 에도 에는 에서는 에서도 에게서 께서 와 과 도 만 로 으로 로서 으로서
        로써 으로써 로부터 으로부터 까지 부터 보다 처럼 마저 조차 밖에 뿐 라고 이라고 라는 이라는 란 이란 이나 나
        이며 며 이고 측 측은 측이 들 들이 들은 들을 들의 들에
        """
    ).split()
)
_LEAST = 3  # letters that must remain: غزة, مصر and קטר are names
_LONGEST = 5  # letters of all prefixes of a word
# Conjunction, preposition, article; ل and the article ال are written لل.
_ARABIC = frozenset(
    (conjunction + preposition + article).replace("لال", "لل")
    for conjunction, preposition, article in product(("", "و", "ف"), ("", "ب", "ل", "ك"), ("", "ال"))
) - {""}
# Conjunction, relative, preposition, article.
_HEBREW = frozenset(map("".join, product(("", "ו"), ("", "ש", "כש", "מש", "לכש"), ("", *"בלמכ"), ("", "ה")))) - {""}
# Paper is not "and Raqqa", a medal not "and Sam": words that begin with such a letter and end in another word.
_WHOLE = frozenset(
    fold(
        """
        ورقة ورق وسام وسط وسطى وصول وصلة وصفة وجود وقود وفاة وفود وضوح وعود وعدة ولاء ولادة ولاية ولايات ولاة وكالة
        وكالات وكيل وكلاء وزارة وزارات وزراء وزير وزيرة وثيقة وحدة وحدات وحيد وطني وطنية وظيفة وقائع وقاية
        بلاد بلدة بلدان بلدي بليغ بحري بحرية بحار بريد بريطانيا بسيط بطاقة بطولة بعثة بعيد بقاء بناء بنوك بنود بيان
        بيانات بيروت لبنان لبناني لجان لجنة لحوم لسان لغات لغوي لقاء لقاءات لقاح لندن لواء ليبيا ليبي
        كبار كبير كبيرة كتاب كتابة كتب كتلة كرام كلام كلمة كمال كميات كمية كنيسة كهرباء كوريا كيان
        فتاة فتيات فرصة فرنسا فريق فقرة فكرة فلسطين فلسطيني فنون فيديو فيروس
        """
    ).split()
)

Stem = tuple[str, int, int]


@lru_cache(maxsize=1 << 15)
def stems(word: str) -> tuple[Stem, ...]:
    """Return the words that may stand inside the folded token `word`: (stem, characters before, after)."""
    first = word[0]
    if "\u1100" <= first <= "\u11ff":
        return _before_particles(word)
    if "\u0590" <= first <= "\u05ff":
        return tuple(_after_prefixes(word, _HEBREW))
    return _after_arabic(word) if "\u0600" <= first <= "\u06ff" else ()


def behind_prefixes(first: str) -> tuple[str, ...]:
    """Return the first word of a phrase (تل of تل أبيب, או of או"ם) with the prefixes that may stand before it.

    Only for a word that is too short to be looked for inside another by itself; the rest of the phrase tells.
    """
    if len(first) >= _LEAST:
        return ()
    prefixes = _HEBREW if "\u0590" <= first[0] <= "\u05ff" else _ARABIC if "\u0600" <= first[0] <= "\u06ff" else ()
    return tuple(sorted(prefix + first for prefix in prefixes if len(prefix) <= _LEAST))


def _before_particles(word: str) -> tuple[Stem, ...]:
    syllables = [at for at in range(len(word) - 1, 2, -1) if "\u1100" <= word[at] <= "\u1112"]
    return tuple((word[:at], 0, len(word) - at) for at in syllables[:4] if word[at:] in _PARTICLES)


def _after_arabic(word: str) -> tuple[Stem, ...]:
    if word in _WHOLE:
        return ()
    found = _after_prefixes(word, _ARABIC)
    # In للعراق the article of العراق has lost its first letter.
    found += [("ا" + word[before - 1 :], before - 1, 0) for _, before, _ in found if word[:before].endswith("لل")]
    return tuple(found)


def _after_prefixes(word: str, prefixes: frozenset[str]) -> list[Stem]:
    longest = min(_LONGEST, len(word) - _LEAST)
    return [(word[size:], size, 0) for size in range(1, longest + 1) if word[:size] in prefixes]
