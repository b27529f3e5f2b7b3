"""What the models of JSON share: instants, texts, and the models that most others hold."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, PlainSerializer, SkipValidation, WithJsonSchema


def instant(at: datetime | None) -> str | None:
    """Format `2026-03-01T08:15:00Z`; None stays None."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None


At = Annotated[
    datetime, PlainSerializer(instant), WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization")
]
TEXTS = {"summary", "content"}
Text = Annotated[str, SkipValidation]  # what a terminal or a file brought may hold what is no valid Unicode


class Schema(BaseModel):
    """Built when it is first used: a command that prints no JSON does not pay for it."""

    model_config = ConfigDict(from_attributes=True, defer_build=True)


class ConfigProblem(Schema):
    file: Text
    line: int
    column: int
    message: Text
    hint: Text | None
    severity: Literal["error", "warning"]


class Span(Schema):
    """Where a term matched; offsets count code points."""

    field: Text
    start: int
    end: int
    text: Text
    term: Text
