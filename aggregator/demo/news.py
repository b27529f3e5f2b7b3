"""A morning of invented news: who publishes what, and how many seconds into the show.

The outlets and their texts are made up. Among them one real story's pattern: an agency reports,
a news site rewrites, a blog copies, and others write the name in their own spelling.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher:
    """A publisher and the format of its feed."""

    id: str
    title: str
    format: Literal["blogger", "rss", "rdf", "json"]
    lang: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewsItem:
    """One piece of news; `at_s` below zero was there before the show began. `decoy`: why no rule matches it."""

    at_s: float
    outlet: str
    slug: str
    title: str
    text: str
    decoy: str = ""


PUBLISHERS = (
    Publisher(id="meridian", title="Meridian News Agency", format="rss", lang="en"),
    Publisher(id="bosphorus-daily", title="Bosphorus Daily", format="rss", lang="en"),
    Publisher(id="nordic-watch", title="Nordisk forsvarsblogg", format="blogger", lang="en"),
    Publisher(id="strategy-review", title="Strategy Review", format="rdf", lang="en"),
    Publisher(id="vestnik-oborony", title="Вестник обороны", format="json", lang="ru"),
)

NEWS_ITEMS = (
    "Russian President Vladimir Putin and his Turkish counterpart Recep Tayyip Erdogan discussed further cooperation "
    "on the S-400 air defence system in a telephone call on Sunday, the Kremlin said. The talks come as Washington "
    "repeats its warning that new deliveries would bring sanctions under CAATSA, the act that punishes significant "
    "purchases from the Russian arms industry. Ankara took the first batteries in 2019 and was removed from the F-35 "
    "programme as a result. A second regiment has been under negotiation since then."
)

STARTS_AT = (
    NewsItem(
        at_s=-9000,
        outlet="meridian",
        slug="grain-corridor",
        title="Grain ships leave port after inspection",
        text="Three vessels carrying grain left the harbour on Saturday evening after a joint inspection.",
    ),
    NewsItem(
        at_s=-8000,
        outlet="bosphorus-daily",
        slug="lira",
        title="Lira steady ahead of rate decision",
        text="The lira was little changed as investors waited for the central bank. Analysts expect no surprise.",
    ),
    NewsItem(
        at_s=-7000,
        outlet="nordic-watch",
        slug="winter-exercise",
        title="Winter exercise begins in the north",
        text="Some 9,000 soldiers from six countries take part in this year's exercise.",
    ),
    NewsItem(
        at_s=-6000,
        outlet="strategy-review",
        slug="drones",
        title="What cheap drones change, and what they do not",
        text="A long look at procurement, attrition and the arithmetic of interceptors.",
    ),
    NewsItem(
        at_s=-5000,
        outlet="vestnik-oborony",
        slug="ucheniya",
        title="Учения на Балтике завершены",
        text="Корабли вернулись в пункты базирования.",
    ),
    NewsItem(
        at_s=-4000,
        outlet="strategy-review",
        slug="s400-chronology",
        title="From tender to storage: ten years of one S-400 purchase",
        text="Who offered what, who signed, who protested, and where the launchers stand today. A chronology in dates.",
    ),
    NewsItem(
        at_s=2,
        outlet="meridian",
        slug="s400-call",
        title="Putin, Erdogan discuss S-400 cooperation despite threat of CAATSA sanctions",
        text=NEWS_ITEMS,
    ),
    NewsItem(
        at_s=5,
        outlet="strategy-review",
        slug="as400-museum",
        title="The AS-400 that would not die",
        text="A museum in Ankara shows an IBM AS-400 that ran a bank's books for thirty years.",
        decoy="AS-400 is not S-400",
    ),
    NewsItem(
        at_s=8,
        outlet="nordic-watch",
        slug="kremlin-kaller",
        title="Putin, Erdogan discuss S-400 cooperation despite threat of CAATSA sanctions",
        text=NEWS_ITEMS + " (Gjengitt etter Meridian.)",
    ),
    NewsItem(
        at_s=11,
        outlet="bosphorus-daily",
        slug="troops",
        title="U.S. 400 troops short of target in training mission",
        text="The mission has 400 fewer trainers than planned, an official said on Monday.",
        decoy="“U.S. 400” is not S-400",
    ),
    NewsItem(
        at_s=15,
        outlet="bosphorus-daily",
        slug="second-regiment",
        title="Ankara weighs a second regiment of S‑400s",
        text="Türkiye's defence ministry says that talks on a second regiment of S‑400s go on. Officials in the "
        "capital play down the risk of CAATSA's sanctions and point to waivers granted to others. "
        "The opposition asked for a debate in parliament before any contract is signed.",
    ),
    NewsItem(
        at_s=20,
        outlet="vestnik-oborony",
        slug="s400-peregovory",
        title="Турция обсуждает поставку второго полка С-400",
        text="Анкара продолжает переговоры о втором полке зенитных систем С-400, несмотря на угрозу санкций "
        "по закону CAATSA, сообщил источник.",
    ),
    NewsItem(
        at_s=26,
        outlet="meridian",
        slug="cve",
        title="Agency warns of flaw in widely used mail gateway",
        text="The national security agency urged operators to install an update for CVE-2026-41207, a flaw in a "
        "mail gateway that is being exploited to run code without a password.",
    ),
    NewsItem(
        at_s=32,
        outlet="strategy-review",
        slug="market",
        title="Train delayed: CLASS-400 locomotive fails again",
        text="Passengers waited for two hours. The operator apologised.",
        decoy="CLASS-400 is not S-400",
    ),
    NewsItem(
        at_s=38,
        outlet="meridian",
        slug="ferry",
        title="Ferry service resumes after storm",
        text="Boats run again every half hour between the two shores.",
    ),
    NewsItem(
        at_s=45,
        outlet="strategy-review",
        slug="caatsa-explainer",
        title="CAATSA at nine: what section 231 did",
        text="A review of every waiver and designation under the Countering America's Adversaries Through Sanctions "
        "Act, and of the purchases that were dropped because of it.",
        decoy="CAATSA, but nothing about Turkey",
    ),
    NewsItem(
        at_s=52,
        outlet="nordic-watch",
        slug="patrol",
        title="Nytt patruljefly på plass",
        text="Flyet landet i går kveld. Mannskapet begynner opplæringen i neste uke.",
    ),
    NewsItem(
        at_s=60,
        outlet="bosphorus-daily",
        slug="football",
        title="Derby ends 4-0 before 40,000",
        text="A late goal made no difference.",
    ),
)
