"""Text of PDF files; the only importer of pypdf (extra `pdf`). Runs inside a worker: a file is as hostile as a feed."""

import io
import logging
from importlib.util import find_spec

from aggregator.core.text.sanitize import clean_lines
from aggregator.parse.payload import Rejected

MAX_BYTES = 20 * 2**20
MAX_PAGES = 200
MAX_TEXT = 500_000  # characters
MAGIC = b"%PDF-"


def is_available() -> bool:
    """Tell whether the extra is installed; nothing is imported."""
    return find_spec("pypdf") is not None


def is_pdf(body: bytes) -> bool:
    """Tell whether a document is a PDF file, by its first bytes."""
    return MAGIC in body[:1024]


def text(body: bytes) -> str:
    """Return the text of a file, its pages as paragraphs. Raises Rejected."""
    if len(body) > MAX_BYTES:
        raise Rejected(f"The PDF file is larger than {MAX_BYTES // 2**20} MiB.", "hostile", transient=False)
    if not is_available():
        raise Rejected("This is a PDF file, whose text requires the extra pdf.", "binary", transient=False)
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # standard error leads nowhere here
    pages: list[str] = []
    size = 0
    try:
        reader = PdfReader(io.BytesIO(body))
        if reader.is_encrypted and not reader.decrypt(""):
            raise Rejected("The PDF file is encrypted.", "binary", transient=False)
        for number, page in enumerate(reader.pages):
            if number >= MAX_PAGES or size >= MAX_TEXT:
                break
            pages.append(page.extract_text())
            size += len(pages[-1])
    except Rejected:
        raise
    except (PyPdfError, ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError, OSError) as error:
        if not pages:
            raise Rejected(
                f"The PDF file cannot be read ({type(error).__name__}).", "binary", transient=False
            ) from None
    found = clean_lines("\n\n".join(pages)[:MAX_TEXT])
    if not found:
        raise Rejected("The PDF file has no text: its pages are images.", "empty", transient=False)
    return found
