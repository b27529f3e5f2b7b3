"""The OpenAPI document as a page of our own: no script, no third party."""

from typing import Any

from fastapi import APIRouter, Request, Response

from aggregator.core.model import Json
from aggregator.web.dependencies import TemplatesDep

router = APIRouter(include_in_schema=False)


def _kind(schema: Json) -> str:
    """Describe a schema in a few words: `Hit[]`, `string | null`, `"relevant" | "irrelevant"`."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "anyOf" in schema:
        return " | ".join(_kind(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(f'"{value}"' for value in schema["enum"])
    if schema.get("type") == "array":
        return f"{_kind(schema.get('items', {}))}[]"
    return str(schema.get("format") or schema.get("type") or "any")


def _operation(path: str, method: str, operation: Json) -> Json:
    body = operation.get("requestBody", {}).get("content", {})
    answers = {
        code: [_kind(content.get("schema", {})) for content in answer.get("content", {}).values()]
        for code, answer in operation["responses"].items()
        if code.startswith("2")
    }
    return {
        "method": method.upper(),
        "path": path,
        "summary": (operation.get("description") or operation.get("summary", "")).replace("`", ""),
        "parameters": [
            {
                "name": p["name"],
                "where": p["in"],
                "required": p.get("required", False),
                "kind": _kind(p["schema"]),
                "words": p.get("description") or p["schema"].get("description", ""),
            }
            for p in operation.get("parameters", [])
        ],
        "body": [_kind(content.get("schema", {})) for content in body.values()],
        "answers": answers,
    }


def chapters(document: dict[str, Any]) -> dict[str, list[Json]]:
    """Group the operations of an OpenAPI document by tag."""
    found: dict[str, list[Json]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            found.setdefault(operation.get("tags", ["other"])[0], []).append(_operation(path, method, operation))
    return found


def models(document: dict[str, Any]) -> list[Json]:
    """List the named shapes of an OpenAPI document."""
    return [
        {"name": name, "fields": [(field, _kind(schema)) for field, schema in model.get("properties", {}).items()]}
        for name, model in document["components"]["schemas"].items()
        if model.get("properties")
    ]


@router.get("/api/docs")
async def show(request: Request, templates: TemplatesDep) -> Response:
    """Show every operation and every shape."""
    document = request.app.openapi()
    return templates.render(request, "docs.html", chapters=chapters(document), models=models(document))
