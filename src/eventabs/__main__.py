"""`python -m eventabs`, and the console script."""

import errno
import gc
import os
import re
import sys


def main() -> None:
    """Settle the language before the command line, whose help texts are made on import, is loaded."""
    # new objects until the youngest are searched for cycles: imports and a small run make 160,000, the plan millions
    gc.set_threshold(200_000, *gc.get_threshold()[1:])
    from eventabs.stop_request import INTERRUPTED, handle_signals  # noqa: PLC0415  loading takes a while: first of all, be ready for Ctrl-C

    # nothing has to be put in order yet, and imports do not bear interruption
    handle_signals(lambda _number, _frame: os._exit(INTERRUPTED))
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"  # each installed package would be searched for some
    try:
        from eventabs.cli.help_and_usage_errors import choose_language  # noqa: PLC0415

        choose_language()
        from eventabs.cli.commands import main as command_line  # noqa: PLC0415

        command_line()
    except Exception as error:
        # for a value, for a library that is loaded, for a thread, or in DuckDB
        signs = "failed to map segment|annot allocate memory|can't start new thread|Out of Memory Error"
        is_told = isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM
        if not (is_told or re.search(signs, str(error))):
            raise
        from eventabs.errors_and_exit_codes import out_of_memory  # noqa: PLC0415

        print(f"eventabs: {out_of_memory(error)}", file=sys.stderr)  # noqa: T201  rich may not load any more
        sys.exit(1)


if __name__ == "__main__":
    main()
