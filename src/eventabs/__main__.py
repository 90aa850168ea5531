"""`python -m eventabs`, and the console script."""

import os
import sys

from eventabs import language


def main() -> None:
    """Settle the language before the command line, whose help texts are made on import, is loaded."""
    language.activate(language.requested(sys.argv[1:], os.environ))
    from eventabs.cli import main as command_line  # noqa: PLC0415

    command_line()


if __name__ == "__main__":
    main()
