"""Small words that some scripts write without a blank before or after a name.

Korean particles follow it (`터키가`, `북한에서`), the Arabic article, conjunction and prepositions and
their Hebrew sisters precede it (`والتحالف`, `בטורקיה`). What English sets apart by a blank and
Turkish by an apostrophe is free here too; a remainder that is too short to be sure of is not.
"""

from functools import lru_cache

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
# prefix → the fewest letters that must remain
_ARABIC = dict.fromkeys(map(fold, ("ال", "وال", "فال", "بال", "كال", "وبال", "لل", "ولل")), 3)
_ARABIC |= dict.fromkeys("وبلك", 4)
_HEBREW = dict.fromkeys([*"הובלמשכ", *(f"ו{content}" for content in "הבלמשכ")], 4)

Stem = tuple[str, int, int]


@lru_cache(maxsize=1 << 15)
def stems(word: str) -> tuple[Stem, ...]:
    """The words that may stand inside the folded token `word`: (stem, characters before, after)."""
    first = word[0]
    if "\u1100" <= first <= "\u11ff":
        return _before_particles(word)
    if "\u0590" <= first <= "\u05ff":
        return _after_prefixes(word, _HEBREW)
    return _after_prefixes(word, _ARABIC) if "\u0600" <= first <= "\u06ff" else ()


def _before_particles(word: str) -> tuple[Stem, ...]:
    syllables = [at for at in range(len(word) - 1, 2, -1) if "\u1100" <= word[at] <= "\u1112"]
    return tuple((word[:at], 0, len(word) - at) for at in syllables[:4] if word[at:] in _PARTICLES)


def _after_prefixes(word: str, prefixes: dict[str, int]) -> tuple[Stem, ...]:
    return tuple(
        (word[len(prefix) :], len(prefix), 0)
        for prefix, least in prefixes.items()
        if word.startswith(prefix) and len(word) - len(prefix) >= least
    )
