"""`python -m eventabs`, and the console script."""


def main() -> None:
    """Settle the language before the command line, whose help texts are made on import, is loaded."""
    from eventabs import interrupts  # noqa: PLC0415  loading takes a while: first of all, be ready for Ctrl-C

    interrupts.leave_at_once()
    from eventabs import speaking  # noqa: PLC0415

    speaking.settle()
    from eventabs.cli import main as command_line  # noqa: PLC0415

    command_line()


if __name__ == "__main__":
    main()
