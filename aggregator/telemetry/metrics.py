"""The figures that matter, for Prometheus. Names and meanings: docs/operations.md."""

from collections.abc import Collection, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from aggregator.core.model import Node, ParseLevel, Queue

ROLES = ("plan", "poll", "deliver", "route", "web")
JOB_STATES = (("waiting", False), ("running", True))
MINUTES = (1, 5, 15, 60, 300, 900, 1800, 3600, 7200, 21600, 86400)


class Metrics:
    """Counters and gauges of one process, on a registry of their own."""

    def __init__(self, version: str) -> None:
        self._registry = registry = CollectorRegistry()
        Gauge("aggregator_info", "Version of the program.", ["version"], registry=registry).labels(version).set(1)
        self.polls = Counter(
            "aggregator_polls", "Polls by the parsing they required; failed: no document.", ["level"], registry=registry
        )
        self.gaps = Counter(
            "aggregator_gaps",
            "Polls that may have missed entries; closed: the feed's archive had the rest.",
            ["outcome"],
            registry=registry,
        )
        self.poll_seconds = Histogram(
            "aggregator_poll_seconds", "Time of one poll, from claim to commit.", registry=registry
        )
        self.entries = Counter("aggregator_entries", "Entries stored.", ["kind"], registry=registry)
        self.articles = Counter(
            "aggregator_articles", "Articles requested by feeds with full_text.", ["outcome"], registry=registry
        )
        self.hits = Counter("aggregator_hits", "Hits recorded.", registry=registry)
        self.retold = Counter(
            "aggregator_retold",
            "Hits on stories that had been alerted: copies, the same event in other words, updates.",
            ["treatment"],
            registry=registry,
        )
        self.splits = Gauge("aggregator_split_hits", "Hits that people took out of their stories.", registry=registry)
        self.seen_seconds = Histogram(
            "aggregator_published_to_seen_seconds",
            "From an entry's own date to when it was first seen.",
            buckets=MINUTES,
            registry=registry,
        )
        self.match_seconds = Histogram(
            "aggregator_match_seconds",
            "Time to match the entries of one poll.",
            buckets=(0.0001, 0.001, 0.01, 0.1, 1, 10),
            registry=registry,
        )
        self.deliveries = Counter(
            "aggregator_deliveries", "Attempts to deliver, by outcome.", ["outcome"], registry=registry
        )
        self.sent_seconds = Histogram(
            "aggregator_due_to_sent_seconds",
            "From an alert's due time to its acceptance.",
            buckets=MINUTES,
            registry=registry,
        )
        self.tick_failures = Counter(
            "aggregator_tick_failures", "Ticks that ended in an error.", ["loop"], registry=registry
        )
        self.reloads = Counter("aggregator_reloads", "Reloads of the configuration.", ["result"], registry=registry)
        self._feeds = Gauge("aggregator_feeds", "Feeds by health.", ["health"], registry=registry)
        self._outbox = Gauge("aggregator_outbox", "Deliveries by state.", ["state"], registry=registry)
        self.lag = Gauge(
            "aggregator_lag_seconds", "How long the most overdue feed has been waiting.", registry=registry
        )
        self.database_up = Gauge(
            "aggregator_database_up", "1 while the database accepts writes, else 0.", registry=registry
        )
        self.database_up.set(1)
        self._oldest_due = Gauge(
            "aggregator_oldest_due_seconds",
            "How long the oldest overdue work has been waiting.",
            ["kind"],
            registry=registry,
        )
        self.rules = Gauge("aggregator_rules", "Active rules.", registry=registry)
        self._nodes = Gauge("aggregator_nodes", "Nodes of the cluster that are alive.", ["role"], registry=registry)
        self._node_silence = Gauge(
            "aggregator_node_silent_seconds",
            "How long a node of the cluster has not been heard of.",
            ["node"],
            registry=registry,
        )
        self._node_config = Gauge(
            "aggregator_node_config", "Number of the configuration that a node follows.", ["node"], registry=registry
        )
        self._jobs = Gauge("aggregator_jobs", "Jobs of the cluster.", ["state"], registry=registry)
        self._oldest_job = Gauge(
            "aggregator_oldest_job_seconds",
            "How long the oldest job of the cluster has been in its state.",
            ["state"],
            registry=registry,
        )
        self._beat = Gauge(
            "aggregator_loop_beat_timestamp_seconds",
            "When a loop last completed a tick successfully.",
            ["loop"],
            registry=registry,
        )
        self._begin()

    def _begin(self) -> None:
        """Show the known labels with 0, so that what happens first is an increase and not a new series."""
        known = (
            (self.polls, (*(level.value for level in ParseLevel), "failed")),
            (self.gaps, ("open", "closed")),
            (self.entries, ("new", "updated")),
            (self.articles, ("read", "nothing new", "later", "given up")),
            (self.deliveries, ("sent", "retry", "dead", "held", "suppressed")),
            (self.reloads, ("taken", "refused", "failed")),
        )
        for counter, labels in known:
            for label in labels:
                counter.labels(label)

    def observe_feeds(self, by_health: Mapping[str, int]) -> None:
        self._set(self._feeds, by_health)

    def observe_outbox(self, by_state: Mapping[str, int]) -> None:
        self._set(self._outbox, by_state)

    def observe_oldest_due(self, *, feed_s: float, delivery_s: float) -> None:
        self._oldest_due.labels("feed").set(feed_s)
        self._oldest_due.labels("delivery").set(delivery_s)

    def observe_cluster(self, nodes: Iterable[Node], queue: Queue, *, alive: Collection[Node]) -> None:
        """Show a cluster; of nodes of one name the longest silence, and the lowest number that is followed."""
        self._set(self._nodes, {role: sum(role in node.roles for node in alive) for role in ROLES})
        silent: dict[str, float] = {}
        config: dict[str, int] = {}
        for node in nodes:
            silent[node.name] = max(node.silent_s, silent.get(node.name, 0.0))
        for node in alive:
            config[node.name] = min(node.config, config.get(node.name, node.config))
        for gauge, values in ((self._node_silence, silent), (self._node_config, config)):
            gauge.clear()
            self._set(gauge, values)
        ages = {state: [job.age_s for job in queue.jobs if job.running is at_work] for state, at_work in JOB_STATES}
        self._set(self._jobs, {**{state: len(found) for state, found in ages.items()}, "failed": queue.failed})
        self._set(self._oldest_job, {state: max(found, default=0.0) for state, found in ages.items()})

    def expect(self, loop: str) -> None:
        """Expect a loop, which has not failed before its first tick."""
        self.tick_failures.labels(loop)

    def beat(self, loop: str, timestamp: float) -> None:
        self._beat.labels(loop).set(timestamp)

    def text(self) -> bytes:
        """Return the metrics in the exposition format, version 0.0.4."""
        return generate_latest(self._registry)

    @staticmethod
    def _set(gauge: Gauge, values: Mapping[str, float]) -> None:
        for label, value in values.items():
            gauge.labels(label).set(value)
