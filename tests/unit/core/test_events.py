"""Events: what joins, what stays apart, and that order and storage change nothing."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json
from msgspec.structs import replace

from aggregator.core import events
from aggregator.core.events import FrequencyModel, Policy, Weights, encoder, features, join
from aggregator.core.events.likeness import Comparison
from aggregator.core.events.turns import turn
from aggregator.core.model import Because, Entry, Features, Frequencies, HitState, JoinKind, Report, Story
from aggregator.core.stories import fingerprint
from aggregator.store.mappers import stories as mappers
from benchmarks.story_stream import (
    across_languages,
    event_figures,
    events_in_languages,
    folded,
    joined_twins,
    news_after,
    outcomes,
    own_events,
    retold,
    short_news,
    standing,
    stream,
    twins,
)

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
AGENCY = (
    "Turkey takes delivery of second S-400 battery from Russia",
    """ANKARA - Turkey received the second battery of Russian S-400 air defence missiles at Murted air base on Monday,
    the defence ministry said, defying threats of sanctions by the United States.""",
)
SITE = (
    "Second Russian S-400 battery arrives at Turkish base of Murted",
    """The Turkish defence ministry announced on Monday that the second S-400 battery bought from Russia has reached the
    Murted air base. Washington has threatened sanctions over the air defence missiles.""",
)
OTHER = (
    "Grain harvest in Ukraine falls to lowest level in ten years",
    "Farmers in Ukraine have brought in the smallest harvest of the decade, the ministry in Kyiv said.",
)


def report(text: tuple[str, str], feed: str = "agency", hours: float = 0.0, lang: str | None = "en") -> Report:
    title, body = text
    at = NOW + timedelta(hours=hours)
    entry = Entry(feed=feed, key=title, title=title, summary=body, lang=lang, seen_at=at)
    name = f"{feed}:{title}"
    return Report(
        id=name, feed=feed, title=title, at=at, fingerprint=fingerprint(entry), features=features(entry), origin=name
    )


def story(*reports: Report, alerted: float | None = 0.0, apart: frozenset[str] = frozenset()) -> Story:
    first = reports[0]
    return Story(
        id=first.id,
        title=first.title,
        fingerprint=first.fingerprint,
        feeds=tuple(dict.fromkeys(r.feed for r in reports)),
        first_at=first.at,
        last_at=reports[-1].at,
        reports=reports,
        alerted_at=None if alerted is None else NOW + timedelta(hours=alerted),
        apart=apart,
    )


def test_another_sources_words_for_the_event_are_a_retelling_with_its_reason() -> None:
    """The alert of the agency's report stands for the site's, and the words that they share are readable."""
    agency = report(AGENCY)
    found, because = join(report(SITE, "site", 2), [story(report(OTHER, "farm")), story(agency)], Frequencies())
    assert found is not None
    assert (found.id, because.kind, because.origin) == (agency.id, JoinKind.RETELLING, agency.id)
    assert (because.title, because.feed, because.hours) == (AGENCY[0], "agency", 2.0)
    assert {"S-400", "Murted"} <= set(because.words)


def test_what_has_nothing_to_do_with_an_event_joins_none() -> None:
    """Another event of the same day opens its own story."""
    assert join(report(OTHER, "farm", 1), [story(report(AGENCY))], Frequencies()) == (None, Because())


def test_weights_that_are_kept_change_nothing_and_forget_what_was_written_again() -> None:
    """A report that is edited keeps its id, but is compared by its new words."""
    kept, new = Weights(Frequencies()), report(SITE, "site", 2)
    first, edited = report(AGENCY), replace(report(OTHER), id=report(AGENCY).id)
    for known in (first, edited, first):
        alone = join(new, [story(known)], Frequencies())
        assert join(new, [story(known)], Frequencies(), known=kept) == alone
        assert (alone[0] is None) == (known is edited)


WORDS = [f"word{number}" for number in range(12)]
TEXTS = st.lists(st.sampled_from(WORDS), min_size=3, max_size=20).map(" ".join)


@settings(deadline=None)
@given(TEXTS, TEXTS, st.lists(TEXTS, max_size=4), st.sampled_from([0.0, 2.0, 30.0]))
def test_the_quick_bound_hides_nothing_that_is_alike(one: str, other: str, rest: list[str], hours: float) -> None:
    """Whatever words two reports share, and however frequent these are: what counts is never skipped."""
    frequencies = events.counted(Frequencies(), [report((text, "")).features for text in rest])
    comparison = Comparison(report((one, "")), Weights(frequencies))
    known = report((other, ""), "site", hours)
    likeness = comparison.with_report(known)
    least = likeness.score
    assert not likeness.counts(least) or comparison.may_count(known, least)


def test_a_poll_of_very_many_reports_is_weighed_by_its_own_words() -> None:
    """A word that all of them have says nothing, even on the first day; a few reports change no weight."""
    reports = [report((f"word{number} shared", ""), f"feed{number}") for number in range(100)]
    assert events.with_poll(Frequencies(), reports[:99]) == Frequencies()
    found = events.with_poll(Frequencies(), reports)
    assert (found.documents, found.rarities["share"] < 2 < found.rarities["word7"]) == (100, True)
    learnt = Frequencies(documents=10_000, counts={})
    assert events.with_poll(learnt, reports) is learnt


@pytest.mark.parametrize(
    ("new", "known", "doubt"),
    [
        (report(SITE, "site", 13), story(report(AGENCY)), "13 h after the last alert"),
        (report(SITE, "agency", 2), story(report(AGENCY)), "from the same source"),
        (report(SITE, "site", 2), story(report(AGENCY), alerted=None), "nothing of it was alerted yet"),
    ],
)
def test_a_follow_up_is_alerted_and_says_why_it_is_none_of_the_same(new: Report, known: Story, doubt: str) -> None:
    """Later, by the same source, or where nobody was alerted: an update, never silence."""
    found, because = join(new, [known], Frequencies())
    assert found == known
    assert (because.kind, because.doubt, because.origin) == (JoinKind.FOLLOW_UP, doubt, "")


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        ("Earthquake of magnitude 5.1 shakes Crete", "Earthquake of magnitude 4.6 shakes Crete", "5.1 / 4.6"),
        (
            "Ministry adds 12 persons from Belarus to list",
            "Ministry adds 12 persons from Iran to list",
            "Iran / Belarus",
        ),
        ("Army receives 2 S-400 batteries in spring", "Army receives 2 Patriot batteries in spring", "Patriot / S400"),
        ("Poland Signs Contract for HIMARS", "Poland Signs Contract for Patriot", "Patriot / Himars"),
    ],
)
def test_twins_never_join_and_are_named_as_near_misses(one: str, other: str, reason: str) -> None:
    """Alike in wording, different in a number, a name or a designator: two events."""
    body = "The statement was published by the ministry on Monday; details will follow in the course of the day."
    found, because = join(report((other, body), "b", 1), [story(report((one, body), "a"))], Frequencies())
    assert found is None
    first, second = reason.split(" / ")
    assert all(word in because.misses[0].reason for word in (first, second))


def test_a_report_in_another_language_is_a_translation() -> None:
    """Names, numbers and designators are the same in all languages; what joins by them is alerted as an update."""
    russian = (
        "Турция получила вторую батарею С-400 на базе Мюртед, сообщил Акар",
        "Министр обороны Турции Хулуси Акар сообщил, что вторая батарея доставлена на авиабазу Мюртед.",
    )
    english = (
        "Turkey receives second S-400 battery at Murted base, says Akar",
        "Defence minister Hulusi Akar said on Monday that the battery was delivered to the air base.",
    )
    known = story(report(english))
    found, because = join(report(russian, "ria", 3, "ru"), [known], Frequencies())
    assert (found, because.kind) == (known, JoinKind.TRANSLATION)
    assert len(because.words) >= 3


def test_nothing_joins_a_story_that_a_person_set_apart_from_a_nearer_one() -> None:
    """A copy of what was split off follows it, and never goes back across the split."""
    one, split = report(AGENCY), report(SITE, "site", 1)
    copy = report(SITE, "third", 2)
    apart = [story(one, apart=frozenset({split.id})), story(split, apart=frozenset({one.id}))]
    found, _ = join(copy, apart, Frequencies())
    assert found is not None
    assert found.id == split.id
    found, because = join(copy, [replace(apart[0], reports=(one,)), replace(apart[1])], Frequencies(),
                          apart=frozenset({split.id, one.id}))  # fmt: skip
    assert found is None
    assert {miss.reason for miss in because.misses} == {"set apart by a person"}


def test_events_can_be_switched_off() -> None:
    """Then copies are all that is collapsed."""
    assert join(report(SITE, "site", 2), [story(report(AGENCY))], Frequencies(), Policy(events=False))[0] is None


def test_words_that_recur_in_a_feed_weigh_nothing() -> None:
    """A banner over every entry of a feed makes no two of them alike."""
    banner = "Murted Valley Courier morning bulletin"
    subjects = ("road", "school", "bridge", "fair", "mayor", "river", "church", "market")
    rows = [report((f"{banner}: {word}", ""), "valley").features for word in subjects]
    recurring = events.recurring(rows)
    entry = Entry(feed="valley", key="k", title=f"{banner}: library", seen_at=NOW, lang="en")
    known = features(entry, recurring)
    weighing = {stem for stem, count in zip(known.stems, known.counts, strict=True) if count}
    assert weighing == {"librari"}
    assert [key for key in events.keys(known, Frequencies()) if key.startswith("w:")] == ["w:librari"]


WORDS = [
    "missile",
    "Ankara",
    "delivery",
    "S-400",
    "battery",
    "base",
    "Murted",
    "Akar",
    "sanctions",
    "5.1",
    "12",
    "grain",
]
TEXTS = st.lists(st.sampled_from(WORDS), min_size=3, max_size=9).map(" ".join)


@given(st.lists(TEXTS, min_size=1, max_size=8), TEXTS, st.randoms())
def test_the_order_of_candidates_decides_nothing(texts: list[str], new: str, random: object) -> None:
    """Whatever order the store answers in, the same story is joined for the same reason."""
    known = [story(report((text, ""), f"feed{n}", n / 10)) for n, text in enumerate(texts)]
    expected = join(report((new, ""), "new", 2), known, Frequencies())
    shuffled = list(known)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert join(report((new, ""), "new", 2), shuffled, Frequencies()) == expected


@given(st.lists(TEXTS, min_size=2, max_size=6), TEXTS)
def test_no_join_crosses_what_a_person_set_apart(texts: list[str], new: str) -> None:
    """Of two stories apart, only the nearer one is ever joined, and none that is apart from the entry itself."""
    known = [story(report((text, ""), f"feed{n}", n / 10)) for n, text in enumerate(texts)]
    free, _ = join(report((new, ""), "new", 2), known, Frequencies())
    everyone = frozenset(s.id for s in known)
    apart = [replace(s, apart=everyone - {s.id}) for s in known]
    bound, _ = join(report((new, ""), "new", 2), apart, Frequencies())
    assert bound is None or (free is not None and bound.id == free.id)
    assert join(report((new, ""), "new", 2), known, Frequencies(), apart=everyone)[0] is None


@given(st.text(max_size=200), st.text(max_size=400), st.sampled_from(["en", "ru", "zh", "ar", "de", None]))
def test_features_of_any_text_survive_storage(title: str, body: str, lang: str | None) -> None:
    """Whatever a feed sends has features, and they are the same after the database."""
    known = report((title, body), lang=lang).features
    assert mappers.features(json.decode(json.encode(mappers.features_list(known)))) == known
    meant = replace(known, vector=bytes(range(256)) * 2)
    assert mappers.features(json.decode(json.encode(mappers.features_list(meant)))) == meant
    assert len(known.stems) == len(known.counts) == len(known.shown) == len(set(known.stems))


def test_a_reason_survives_storage() -> None:
    """Also with near misses and an instant."""
    _, because = join(report(SITE, "site", 2), [story(report(AGENCY))], Frequencies())
    assert mappers.because(json.decode(json.encode(mappers.because_list(because)))) == because


def test_frequencies_are_frozen_and_forget_old_news() -> None:
    """What was handed out never changes; after many documents all counts are halved."""
    model, row = FrequencyModel(), Features(stems=("missil",), counts=(1,), shown=("missile",))
    before = model.frozen()
    model.add([row] * 10)
    after = model.frozen()
    assert (before.documents, after.documents, after.counts["missil"]) == (0, 10, 10)
    assert events.load_frequencies(events.dump_frequencies(after)) == after
    model.add([row] * events.HORIZON)
    assert model.frozen().documents == (events.HORIZON + 10) // 2
    assert after.counts["missil"] == 10


def test_no_twins_are_merged() -> None:
    """Two events in one template, with their texts or as headlines alone: each is alerted; none joins with its text."""
    pairs = twins()
    assert len(pairs) >= 2 * 84
    with_texts = [pair for pair in pairs if pair[0].summary]
    assert joined_twins(with_texts) == (0, 0)
    silent, _ = joined_twins([pair for pair in pairs if not pair[0].summary])
    assert silent == 0


def test_turns_follow_ups_and_lookalikes_are_alerted() -> None:
    """In 13 languages: a denial, a verdict, a siege that ends, the next day, the next town."""
    assert joined_twins(news_after())[0] == 0


@pytest.mark.parametrize(
    ("earlier", "later", "word"),
    [
        ("Judge Keller denies bribery", "Judge Keller arrested over bribery", "arrested"),
        ("Judge Keller held over bribery, police say", "Judge Keller denies bribery", "denies"),
        ("Keller taken into custody", "Keller arrested", ""),
        ("Keller bribery deal", "Keller bribery pact", ""),
        ("Keller bribery pact", "Keller bribery deal", ""),
        ("Keller inquiry", "Keller bribery deal", ""),
    ],
)
def test_a_turn_is_what_no_headline_has_told_yet(earlier: str, later: str, word: str) -> None:
    """By kinds of words, not by words; a word of several meanings is no turn, but tells of one."""
    assert turn(report((later, "")), report((earlier, "")), ()) == word


def test_a_turn_was_told_if_the_alerted_text_or_another_headline_tells_of_it() -> None:
    """What people could read is no news to them; languages without words of turns have none."""
    later = report(("Keller arrested", ""))
    siege = "Siege of Keller's house in Leeds"
    assert turn(later, report((siege, "Officers took Keller into custody at noon.")), ()) == ""
    assert turn(later, report((siege, "Officers wait.")), [report(("Keller detained", ""))]) == ""
    assert turn(later, report((siege, "Officers wait.")), [report((siege, "He was detained."))]) == "arrested"
    foreign = replace(later, features=replace(later.features, lang="xx"))
    assert turn(foreign, report((siege, "Officers wait.")), ()) == ""


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("Rovers' Holm arrested on suspicion of fraud", JoinKind.FOLLOW_UP),
        ("Rovers' Berg arrested on suspicion of fraud", JoinKind.RETELLING),
    ],
)
def test_the_last_event_of_its_kind_that_a_report_mentions_is_no_sign_of_it(title: str, kind: JoinKind) -> None:
    """Two arrests in one club: the earlier report mentions who is arrested now, and is not retold by that."""
    text = "Police in Bergen arrested Rovers goalkeeper Anders Berg on suspicion of fraud on Tuesday. "
    berg = ("Rovers goalkeeper Berg arrested on suspicion of fraud", f"{text}Jonas Holm was questioned last month.")
    now = title, f"Police in Bergen arrested Rovers' {title.split()[1]} on suspicion of fraud late on Tuesday."
    found, because = join(report(now, "b", 1), [story(report(berg, "a"))], Frequencies())
    assert found is not None
    assert because.kind is kind


def test_what_a_feed_states_counts_where_a_text_may_be_in_it() -> None:
    """Short Finnish texts look Lithuanian; what states English may be anything."""
    text = "Kuopion hotelli Puijo paloi: 5 kuollutta", "Hotelli Puijossa syttynyt palo vaati 5 ihmisen hengen."
    assert report(text, lang="fi").features.lang == "fi"
    german = "Der Bundestag stimmt am Freitag über das Gesetz ab", "Die Abgeordneten beraten seit Wochen darüber."
    assert report(german, lang="en").features.lang == "de"


def test_another_newsrooms_text_is_folded_in_every_language() -> None:
    """In 15 languages and ten scripts: "five dead" and "5 dead" are one fire; at most one in twenty is alerted."""
    pairs = retold()
    assert len({one.lang for one, _ in pairs}) >= 15
    assert folded(pairs) >= 0.95 * len(pairs)


def test_small_steps_do_not_lead_away_from_what_was_alerted() -> None:
    """A retelling must be like the report that people read, not only like another retelling of it."""
    words = ["Akdag", "Murted", "Ankara", "Kremlin", "Oslo", "Bergen", "tanker", "harbour", "inquiry", "verdict"]
    texts = [" ".join(words[n : n + 5]) for n in range(6)]
    alerted = report((texts[0], ""), "a")
    steps = [replace(report((text, ""), f"f{n}", n / 10), origin=alerted.id) for n, text in enumerate(texts[1:4], 1)]
    _, because = join(report((texts[4], ""), "new", 1), [story(alerted, *steps)], Frequencies())
    assert because.kind is not JoinKind.RETELLING


@pytest.mark.parametrize(
    ("figures", "kind"), [(("230", "230"), JoinKind.RETELLING), (("230", "415"), JoinKind.FOLLOW_UP)]
)
def test_numbers_that_agree_speak_for_one_event_and_others_against_it(figures: tuple[str, str], kind: JoinKind) -> None:
    """Years and single digits say nothing; a number that the others lack makes a retelling doubtful at least."""
    first, second = figures
    one = f"Avalanche cuts off {first} tourists in the valley", "Rescuers in 2026 reached 3 hotels by helicopter."
    rescued = (
        f"Valley avalanche traps {second} tourists",
        "Helicopters flew rescuers to 3 hotels; it is the worst of 2026.",
    )
    found, because = join(report(rescued, "b", 1), [story(report(one, "a"))], Frequencies())
    assert found is not None
    assert (because.kind, "415" in because.doubt) == (kind, kind is JoinKind.FOLLOW_UP)


def test_events_of_our_own_are_grouped_across_languages() -> None:
    """Through the router: nothing wrong is joined, most of what belongs together is, and each join has its words."""
    found = outcomes(own_events())
    figures, translated = event_figures(found), across_languages(found)
    assert (figures["fold_precision"], figures["bcubed_precision"], translated["precision"]) == (1.0, 1.0, 1.0)
    assert figures["bcubed_f1"] >= 0.85
    assert translated["recall"] >= 0.7
    assert figures["events_never_alerted"] == figures["joins_without_three_words"] == 0


@pytest.mark.parametrize("meaning", [False, True])
def test_events_of_one_topic_are_told_apart_across_languages_by_meaning(meaning: bool) -> None:
    """Names alone hardly tell a launch from a parade of the same missile; what is meant does."""
    figures = across_languages(outcomes(events_in_languages(tuning=False), stream(meaning=meaning)))
    assert (figures["join_precision"] >= 0.9) == (figures["recall"] >= 0.5) == meaning


@pytest.mark.parametrize("order", range(4))
def test_short_news_on_one_topic_is_told_apart(order: int) -> None:
    """What a minister, a base and a promise share on one day are names: 25 of 276 such folds were wrong by them."""
    figures = event_figures(outcomes(short_news(order)))
    assert figures["report_precision"] >= 0.96  # one headline is little more than the name
    assert figures["events_never_alerted"] == 0
    assert figures["folds"] >= 0.8 * (figures["entries"] - figures["events"])


RESIGNS = (
    "Bulgarian President Petrov resigns after court ruling",
    "President Ivan Petrov of Bulgaria stepped down on Thursday, after the constitutional court annulled his decree.",
)
OTSTAVKA = (
    "Президент Болгарии Петров подал в отставку",
    "Президент Болгарии Иван Петров в четверг объявил об отставке после решения конституционного суда.",
)
SZPITAL = (
    "Prezydent Bułgarii Petrow trafił do szpitala w Sofii",
    "Prezydent Bułgarii Iwan Petrow trafił w czwartek do szpitala wojskowego w Sofii z problemami z sercem.",
)


def meant(known: Report, text: tuple[str, str]) -> Report:
    (vector,) = encoder.encode([". ".join(text)])
    return replace(known, features=replace(known.features, vector=vector))


@pytest.mark.parametrize(("lang", "text", "joins"), [("ru", OTSTAVKA, True), ("pl", SZPITAL, False)])
def test_a_translation_means_the_same(lang: str, text: tuple[str, str], joins: bool) -> None:
    """Two events about one person share the names; only one of them means what the first report does."""
    first = meant(report(RESIGNS, "a"), RESIGNS)
    new = report(text, "b", 1, lang=lang)
    by_names, _ = join(new, [story(first)], Frequencies())
    by_meaning, because = join(meant(new, text), [story(first)], Frequencies())
    assert by_names is not None
    assert (by_meaning is not None) == joins
    assert because.kind is (JoinKind.TRANSLATION if joins else None)


def test_what_is_known_by_its_meaning_alone_says_so() -> None:
    """A name and a number are no reason by themselves."""
    first = ("Nordwerk to cut 4,000 jobs", "The shipbuilder said on Tuesday it would cut 4,000 jobs at its yards.")
    text = ("Nordwerk streicht Tausende Stellen", "Der Schiffbauer will auf den Werften 4000 Arbeitsplätze streichen.")
    known, new = report(first, "a"), report(text, "b", 1, lang="de")
    assert join(new, [story(known)], Frequencies())[0] is None
    found, because = join(meant(new, text), [story(meant(known, first))], Frequencies())
    assert found is not None
    assert (because.kind, because.words) == (JoinKind.TRANSLATION, ("Nordwerk", "4000"))
    assert because.doubt.startswith("alike in meaning (0.")


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(max_size=300), max_size=5))
def test_any_text_means_something(texts: list[str]) -> None:
    """Whatever a feed sends: one vector for each, the same in any company, and like itself."""
    vectors = encoder.encode(texts)
    assert [len(vector) for vector in vectors] == [512] * len(texts)
    for text, vector in zip(texts, vectors, strict=True):
        assert encoder.likeness(vector, vector) == pytest.approx(1.0)
        assert encoder.likeness(vector, encoder.encode([text])[0]) >= 0.999


def test_only_the_languages_of_the_encoder_have_a_meaning() -> None:
    """Of the others, it knows pieces of words."""
    spoken, other = report(RESIGNS, "a"), report(("Uganda bekräftar utbrott", "Ugandas ministerium"), "b", lang="sv")
    found = events.with_meaning([other, spoken], ["Uganda bekräftar utbrott", RESIGNS[0]])
    assert [len(one.features.vector) for one in found] == [0, 512]


def test_daily_reports_under_one_headline_are_all_alerted() -> None:
    """Thirty days, thirty alerts."""
    made = stream()
    assert [made.add(entry).hits[0].state for entry in standing()] == [HitState.ALERTED] * 30
