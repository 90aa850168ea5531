"""`python -m eventabs`, and the console script."""


def main() -> None:
    """Settle the language before the command line, whose help texts are made on import, is loaded."""
    from eventabs.cli import signals  # noqa: PLC0415  loading takes a while: first of all, be ready for Ctrl-C

    signals.leave_at_once()
    from eventabs.cli.help import choose_language  # noqa: PLC0415

    choose_language()
    from eventabs.cli.main import main as command_line  # noqa: PLC0415

    command_line()


if __name__ == "__main__":
    main()
