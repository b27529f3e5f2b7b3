"""Matching: articles per second and build time, against a loop of re.search and ahocorasick-rs.

    python -m benchmarks.rules [--articles 400] [--sizes 10 1000 10000 100000] [--rare 0 0.97]

The corpus is made here: nine languages' alphabets, Zipf-distributed words, designators and names
mixed in, about 110 words an entry. A rule is a boolean of two to six terms; `rare` is the share of
terms that no entry has, as names that people watch for seldom occur (0: every second rule of
thousands matches something, which tells what a match costs). Everything runs in one
process on one core, one after the other; results also go to benchmarks/results/rules.json.
"""

import argparse
import gc
import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import accumulate
from pathlib import Path

from aggregator.core.rules import Document, Rule, RuleIndex, compile_rule
from aggregator.core.settings import RuleConfig
from aggregator.core.text.tokens import words

ALPHABETS = {
    "en": ("bcdfghjklmnprstvw", "aeiou"), "de": ("bcdfghklmnrstwz", "aeiouäöü"), "tr": ("bcçdgğhklmnrsşty", "aeıioöuü"),
    "no": ("bdfghjklmnprstv", "aeiouyæøå"), "ru": ("бвгджзклмнпрст", "аеиоуыяю"), "el": ("βγδζθκλμνπρστ", "αεηιοωάέ"),
    "ar": ("بتجحدرزسشصطعفقكلمن", "اوي"), "hi": ("कखगचजटडतदनपबमरलवस", "ािीुूेो"), "zh": ("", ""),
}  # fmt: skip
LETTERS = "ABCDEFGHKLMPRSTX"


def vocabulary(lang: str, size: int, rng: random.Random) -> list[str]:
    """Invented words, the commonest first and shortest."""
    consonants, vowels = ALPHABETS[lang]
    if lang == "zh":
        return [chr(0x4E00 + code) for code in rng.sample(range(3000), 1500)]
    made: dict[str, None] = {}
    while len(made) < size:
        syllables = 1 + min(4, int(rng.expovariate(0.6))) + (len(made) > 200)
        made[
            "".join(rng.choice(consonants) + rng.choice(vowels) for _ in range(syllables)) + rng.choice(["", "n", "r"])
        ] = None
    return list(made)


class World:
    """Words with their weights per language, and designators."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.rare = 0.0
        self.words = {lang: vocabulary(lang, 20_000, rng) for lang in ALPHABETS if lang not in ("ar", "hi")}
        self.words |= {
            lang: [w.removesuffix("n").removesuffix("r") for w in vocabulary(lang, 20_000, rng)]
            for lang in ("ar", "hi")
        }
        self.weights = {
            lang: list(accumulate(1 / (rank + 3) for rank in range(len(w)))) for lang, w in self.words.items()
        }
        self.designators = [
            f"{rng.choice(LETTERS)}{rng.choice(['', *LETTERS])}-{rng.randint(1, 999)}" for _ in range(100_000)
        ]

    def text(self, lang: str, length: int) -> str:
        picked = self.rng.choices(self.words[lang], cum_weights=self.weights[lang], k=length)
        for at in range(0, length, 40):
            picked[at] = self.rng.choice(self.designators)
        joined = ("" if lang == "zh" else " ").join(picked)
        return joined[:1].upper() + joined[1:] + ("。" if lang == "zh" else "’s.")

    def article(self) -> Document:
        lang = self.rng.choices(list(self.words), weights=[40, 8, 8, 8, 12, 6, 6, 6, 6][: len(self.words)])[0]
        return Document(title=self.text(lang, 10), summary=self.text(lang, 30), content=self.text(lang, 70), lang=lang)

    def term(self, lang: str) -> str:
        """A word that somebody would watch: not one of the commonest."""
        if self.rng.random() < self.rare:
            return self.known_term(lang).rstrip("*") + self.rng.choice(["ovq", "wuxo", "yzzi"])
        return self.known_term(lang)

    def known_term(self, lang: str) -> str:
        """A term that occurs, somewhere."""
        if self.rng.random() < 0.2:
            return self.rng.choice(self.designators)
        if lang == "zh":
            return "".join(self.rng.sample(self.words["zh"], 3))
        low = 2500
        word = self.words[lang][min(int(low + self.rng.expovariate(1 / 4000)), len(self.words[lang]) - 1)]
        if self.rng.random() < 0.25:
            return f"{word} {self.words[lang][int(self.rng.expovariate(1 / 2000)) % len(self.words[lang])]}"
        return f"{word}*" if len(word) > 4 and self.rng.random() < 0.1 else word

    def rule(self, number: int) -> RuleConfig:
        lang = self.rng.choice(list(self.words))
        shape: dict[str, object] = {"id": f"r{number}"}
        kind = self.rng.random()
        if kind < 0.4:
            shape["any"] = [self.term(lang) for _ in range(self.rng.randint(1, 4))]
        elif kind < 0.8:
            shape["any"] = [self.term(lang) for _ in range(2)]
            shape["all"] = [self.term(lang)]
        else:
            shape["near"] = [{"terms": [self.term(lang), self.term(lang)], "within": 12}]
        if kind > 0.6:
            shape["none"] = [self.term(lang)]
        return RuleConfig.model_validate(shape)


def rate(articles: Sequence[Document], match: Callable[[Document], object], least_s: float = 1.0) -> float:
    """Articles per CPU second."""
    match(articles[0])
    started, done = time.process_time(), 0
    while True:
        for article in articles:
            match(article)
        done += len(articles)
        spent = time.process_time() - started
        if spent >= least_s:
            return done / spent


def loop_of_searches(rules: Sequence[RuleConfig]) -> Callable[[Document], object]:
    """What people write by hand: one alternation per rule, re.search over the text."""
    patterns = [
        re.compile(
            "|".join(
                rf"\b{re.escape(term.rstrip('*'))}"
                for term in (*rule.any, *rule.all, *(t for n in rule.near for t in n.terms))
            ),
            re.I,
        )
        for rule in rules
    ]

    def match(article: Document) -> object:
        text = f"{article.title}\n{article.summary}\n{article.content}"
        return [pattern for pattern in patterns if pattern.search(text)]

    return match


def aho_corasick(rules: Sequence[RuleConfig]) -> Callable[[Document], object] | None:
    """Literal multi-pattern search without booleans, folding or word rules; a ceiling, not a peer."""
    try:
        import ahocorasick_rs
    except ImportError:
        return None
    terms = sorted(
        {t.rstrip("*").lower() for r in rules for t in (*r.any, *r.all, *r.none, *(x for n in r.near for x in n.terms))}
    )
    automaton = ahocorasick_rs.AhoCorasick(terms)

    def match(article: Document) -> object:
        return automaton.find_matches_as_indexes(f"{article.title}\n{article.summary}\n{article.content}".lower())

    return match


def measure(
    count: int, rare: float, world: World, articles: Sequence[Document], frequencies: Counter[str]
) -> dict[str, object]:
    world.rare = rare
    configs = [world.rule(number) for number in range(count)]
    gc.disable()  # as the program does while it loads
    started = time.process_time()
    rules: list[Rule] = [compile_rule(config, {}) for config in configs]
    compiled = time.process_time()
    index = RuleIndex(rules, frequencies)
    index.prepare()
    built = time.process_time()
    gc.enable()
    index.replace([*rules[1:], compile_rule(world.rule(0), {})])
    replaced = time.process_time()
    row: dict[str, object] = {
        "rules": count,
        "rare": rare,
        "compile_s": round(compiled - started, 2),
        "build_s": round(built - compiled, 2),
        "edit_s": round(replaced - built, 3),
        "articles_per_s": round(rate(articles, index.match)),
        "matches_per_article": round(sum(len(index.match(article)) for article in articles) / len(articles), 2),
    }
    some = articles[: max(2, 40_000 // count)] if count > 100 else articles
    row["re_search_per_s"] = round(rate(some, loop_of_searches(configs), 0.3), 2) if count <= 10_000 else None
    plain = aho_corasick(configs)
    row["aho_corasick_per_s"] = round(rate(articles, plain, 0.3)) if plain else None
    return row


def measure_regex(count: int, world: World, articles: Sequence[Document]) -> dict[str, object]:
    world.rare = 0.0
    configs = [
        RuleConfig.model_validate({"id": f"x{n}", "regex": [rf"\b{world.term('en').rstrip('*')}\w*\s+\w+"]})
        for n in range(count)
    ]
    index = RuleIndex([compile_rule(config, {}) for config in configs])
    index.prepare()
    return {"rules": f"{count} regex", "articles_per_s": round(rate(articles, index.match))}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--articles", type=int, default=400)
    options.add_argument("--sizes", type=int, nargs="*", default=[10, 1000, 10_000, 100_000])
    options.add_argument("--rare", type=float, nargs="*", default=[0.0, 0.97])
    options.add_argument("--regex", type=int, default=1000)
    asked = options.parse_args()
    world = World(random.Random(7))
    articles = [world.article() for _ in range(asked.articles)]
    frequencies = Counter(w for a in articles for w in set(words(f"{a.title} {a.summary} {a.content}")))
    tokens = sum(len(words(f"{a.title} {a.summary} {a.content}")) for a in articles) // len(articles)
    print(f"{len(articles)} articles, {tokens} tokens each")
    rows = [measure(size, rare, world, articles, frequencies) for size in asked.sizes for rare in asked.rare]
    if asked.regex:
        rows.append(measure_regex(asked.regex, world, articles))
    for row in rows:
        print("  ".join(f"{key} {value}" for key, value in row.items()))
    target = Path(__file__).parent / "results" / "rules.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
