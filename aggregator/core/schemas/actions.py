"""What commands that act print with `--json`: what was done, in one document each (docs/api.md)."""

from aggregator.core.schemas.models import At, Finding, Schema, StoryChange, Text


class FilesWritten(Schema):
    """`init`."""

    files: list[Text]


class FeedAdded(Schema):
    """`feeds add`: the feed as it was written into the configuration; `added` is False where nobody wanted it."""

    added: bool
    id: Text | None
    url: Text
    title: Text
    tags: list[Text]
    kind: Text
    select: dict[str, Text]
    undo: Text | None


class FeedRemoved(Schema):
    """`feeds remove`: the file from which it was taken."""

    id: Text
    file: Text
    undo: Text | None


class HitMarked(Schema):
    """`hits mark`; `undo` names the undo of it, null where nothing was changed."""

    id: Text
    mark: Text | None
    undo: Text | None


class StoriesChanged(StoryChange):
    """`stories split` and `stories join`; the undo of a split is refused once its alert has left."""

    undo: Text


class StoryLabels(Schema):
    """`stories label`: the labels that the story has now."""

    story: Text
    labels: list[Text]
    undo: Text | None


class NoteRemoved(Schema):
    """`stories note --remove`."""

    id: int
    undo: Text


class ViewRemoved(Schema):
    """`views remove`."""

    id: Text
    undo: Text


class SilenceRemoved(Schema):
    """`silence remove`."""

    id: int
    undo: Text


class DeliveriesChanged(Schema):
    """`deliveries retry`, `ack` and `cancel`: how many of the given ids changed; `unknown` are those that name nothing.

    `undo` names the undo of an acknowledgement or cancellation; what was sent again cannot be taken back.
    """

    given: int
    changed: int
    unknown: list[Text]
    undo: Text | None


class SchemaUpgraded(Schema):
    """`db upgrade`: the revisions now and before (null: a new database), and the copy that was kept."""

    revision: Text
    before: Text | None
    copy_file: Text | None


class BackupWritten(Schema):
    """`db backup`."""

    file: Text
    bytes: int


class DatabaseRestored(Schema):
    """`db restore`: the backup, its revision after the upgrade, and where the previous database is kept."""

    file: Text
    revision: Text
    kept_file: Text | None


class DatabaseCheck(Schema):
    """`db check`: what is damaged, in words."""

    ok: bool
    problems: list[Text]


class DatabasePruned(Schema):
    """`db prune`: entries removed, texts emptied."""

    removed: int
    emptied: int


class ConfigVersion(Schema):
    """`config log`: one configuration of a cluster; `by` put it in force."""

    number: int
    digest: Text
    by: Text
    at: At


class ConfigPushed(ConfigVersion):
    """`config push` and `rollback`; `new` is False where it was in force already."""

    new: bool


class ConfigFiles(ConfigVersion):
    """`config show`: the files by name, references unexpanded."""

    files: dict[Text, Text]


class ConfigDiff(ConfigVersion):
    """`config diff`: from the stored files to those here; `same`: there is no difference."""

    same: bool
    diff: Text


class ChannelAnswer(Schema):
    recipient: Text
    ok: bool
    detail: Text


class ChannelTest(Schema):
    """`channels test`: what each recipient answered to a test alert."""

    channel: Text
    results: list[ChannelAnswer]


class ChannelAttempt(Schema):
    """A delivery that was tried."""

    id: Text
    title: Text
    state: Text
    at: At
    error: Text


class ChannelStatus(Schema):
    """A channel with its last attempts; `state` is that of the last one or of a test: sent, retry, dead or never."""

    name: Text
    service: Text
    rules: list[Text]
    default: bool
    quiet_hours: Text | None
    time_zone: Text
    max_per_hour: int | None
    fallback: Text | None
    sent_last_hour: int
    state: Text
    attempts: list[ChannelAttempt]


class PollOutcome(Schema):
    """What a poll found; `done` is false if it was still running: then it goes on by itself."""

    feed: Text
    done: bool
    new: int
    hits: int
    error: Text


class FeedChanged(Schema):
    """`edit` is the number by which the change can be undone, null if it can't."""

    feed: Text
    edit: int | None


class FeedsPaused(Schema):
    """`feeds pause` and `resume`."""

    feeds: list[Text]
    paused: bool
    undo: Text


class QueuedJob(Schema):
    """A job that waits or is at work (`running`), `age_s` seconds old."""

    name: Text
    queue: Text
    running: bool
    age_s: float
    attempts: int


class Queue(Schema):
    """`queue`: live jobs, the oldest first, jobs that failed in the last day, processes that take jobs."""

    ok: bool
    jobs: list[QueuedJob]
    failed: int
    workers: int
    notified: bool
    findings: list[Finding]
