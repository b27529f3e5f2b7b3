"""The command line. `main` is the program; each command lives in a module of its own."""


def main() -> None:
    """Run the command line; imports wait until a command is known, so that help is instant."""
    from aggregator.cli.program import program

    program()
