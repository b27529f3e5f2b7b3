"""Events: which reports tell of one event in different words, and why.

An entry that is no copy (`stories`) is compared with the reports of recent stories by their words: stems,
weighted by how often they occur and by how rare they are in the stream. A report that is close enough, soon
enough and contradicts nothing retells the event and needs no alert of its own; one that is later, doubtful
or in another language is alerted as an update of it. Everything here is a function of values: the same
input gives the same story, in whatever order the candidates come.

Three rules keep different events apart. A retelling is judged only against the reports that one alert
stands for (`Report.origin`), by the nearest of them and by their mean, so that no chain of small steps leads
from one event to the next. Reports that are worded alike but differ in a name, a number or a designator are
twins: two events of one kind. And where a person has set two stories apart, nothing joins across.
"""

from aggregator.core.events.encoder import with_meaning
from aggregator.core.events.features import RECENT, features, meant, recurring
from aggregator.core.events.frequencies import (
    HORIZON,
    FrequencyModel,
    counted,
    dump_frequencies,
    keys,
    load_frequencies,
    with_poll,
)
from aggregator.core.events.joining import (
    EVENT_AGE,
    MAX_REPORTS,
    Policy,
    continues,
    copy_because,
    join,
)
from aggregator.core.events.likeness import Weights

__all__ = [
    "EVENT_AGE",
    "HORIZON",
    "MAX_REPORTS",
    "RECENT",
    "FrequencyModel",
    "Policy",
    "Weights",
    "continues",
    "copy_because",
    "counted",
    "dump_frequencies",
    "features",
    "join",
    "keys",
    "load_frequencies",
    "meant",
    "recurring",
    "with_meaning",
    "with_poll",
]
