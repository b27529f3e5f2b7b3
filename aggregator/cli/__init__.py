"""The command line. `main` is the program; each command lives in a module of its own."""

import gc
import io
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from errno import ENOMEM, ENOSPC

# Address space in MB below which native libraries abort the process without a word, instead of raising MemoryError;
# what is really held is about 150 MB. Threads reserve most of it.
SERVICE_MB, COMMAND_MB = 768, 512
SERVICES = frozenset({"run", "worker", "demo"})


def main() -> None:
    """Run the command line; imports wait until a command is known, so that help is instant.

    However it ends, it ends with an exit code and a sentence.
    """
    gc.set_threshold(200_000, 20, 50)  # what is imported stays; to look at it takes up to a tenth of a short command
    _write_anything()
    # Plugins of pydantic, of which none is meant for us, are looked for in every installed package.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    code = _refused_for_memory(sys.argv[1:]) or _run()
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # who reads has had enough
        _drop_output()
    except OSError as error:
        _drop_output()
        code = _say(f"cannot write the output: {error.strerror}")
    gc.freeze()  # at the end, the collector would take apart all that ever was imported
    sys.exit(code)


def _write_anything() -> None:
    """Write a question mark for what a terminal or a file in an old encoding cannot show."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def _run() -> int:
    import click

    from aggregator.cli.program import asks_json, program

    try:
        code = program(standalone_mode=False)
    except SystemExit as end:
        code = end.code
    except click.ClickException as wrong:
        if asks_json(sys.argv[1:]):
            _document(wrong.format_message())
        wrong.show()
        return wrong.exit_code
    except click.Abort as abort:
        interrupted = isinstance(abort.__cause__, KeyboardInterrupt)
        unanswered = "aborted: no answer, nothing changed; with --yes nothing is asked"
        return _say("interrupted" if interrupted else unanswered, 130 if interrupted else 1)
    except MemoryError:
        return _say(f"not enough memory: about {COMMAND_MB} MB are needed; free some memory or raise the limit")
    except OSError as error:
        if error.errno == ENOMEM:
            return _say(f"not enough memory: about {COMMAND_MB} MB are needed; free some memory or raise the limit")
        place = error.filename or ("cannot write the output" if error.errno == ENOSPC else "")
        return _say(": ".join(filter(None, (place, error.strerror or str(error)))))
    except Exception:  # noqa: BLE001 - nobody above would handle it
        return _unexpected()
    return code if isinstance(code, int) else 0


def _refused_for_memory(arguments: Sequence[str]) -> int:
    """1, said in a sentence, where the address space is too small for the command; help needs next to nothing."""
    if sys.platform == "win32" or {"--help", "-h", "--version"} & set(arguments):
        return 0
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    command = next((word for word in arguments if word in SERVICES), "")
    needed = SERVICE_MB if command else COMMAND_MB
    if limit == resource.RLIM_INFINITY or limit >= needed << 20:
        return 0
    return _say(
        f"not enough memory: the address space is limited to {limit >> 20} MB (ulimit -v), and "
        f"`{' '.join(filter(None, ('aggregator', command)))}` needs {needed} MB; raise the limit, "
        "or limit resident memory instead (systemd: MemoryMax=, compose: mem_limit)"
    )


def _say(message: str, code: int = 1) -> int:
    from aggregator.cli.output import echo
    from aggregator.cli.program import asks_json

    if asks_json(sys.argv[1:]):
        _document(message)
    echo(message if code == 130 else f"error: {message}", err=True)
    return code


def _document(message: str) -> None:
    """Print an error as the one document that `--json` promises; stdout itself may be what is broken."""
    from aggregator.cli.errors import emit_error

    with suppress(OSError):
        emit_error(message)


def _unexpected() -> int:
    """Report a fault of the program: the log level decides how much of it to show."""
    from aggregator.cli.program import asks_json
    from aggregator.core.redaction import Redactor
    from aggregator.telemetry.logs import configure_plain

    if not logging.getLogger().handlers:
        configure_plain("error", Redactor())
    if asks_json(sys.argv[1:]):
        _document("internal error; please report it")
    logging.getLogger(__name__).exception("internal error; please report it")
    return 1


def _drop_output() -> None:
    """Drop what is still buffered and has nowhere to go; Python would complain of it at the very end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
