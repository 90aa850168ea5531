"""The command line: which commands there are, in the order of the help page, and how each error ends it."""

import os
import signal
import sys
from contextlib import suppress

from typer.exceptions import TyperException

from eventabs.cli import commands  # noqa: F401  importing it adds the commands
from eventabs.cli.app import OutputGoneError, app, replace_streams
from eventabs.cli.help_and_usage_errors import explained, refuse_unknown_language
from eventabs.cli.shared_options import SET_BY_FLAGS, flag_name
from eventabs.errors_and_exit_codes import EventabsError, InputError, SettingFault, WrongSettingsError
from eventabs.interface_language import gettext as _
from eventabs.stop_request import INTERRUPTED, handle_signals
from eventabs.views import print_error, print_proposal, stderr_console

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line; without arguments, its help."""
    replace_streams()
    try:
        handle_signals(signal.default_int_handler)  # what is not committed is undone
        refuse_unknown_language()
        code = app(sys.argv[1:] or ["--help"], standalone_mode=False)
    except OutputGoneError:
        code = 0
    except KeyboardInterrupt:
        code = INTERRUPTED
    except TyperException as error:
        print_error(stderr_console(), explained(error))
        code = error.exit_code
    except EventabsError as error:
        lines = map(_fault_line, error.faults) if isinstance(error, WrongSettingsError) else error.args
        for line in lines:
            print_error(stderr_console(), line)
        if isinstance(error, InputError) and error.proposal:
            print_proposal(stderr_console(), error.proposal)
        code = error.exit_code
    handle_signals(signal.SIG_IGN)  # all is saved, and what is left are moments
    # as the interpreter ends, Ray would end it with a code of its own where the head is lost
    if "ray" in sys.modules:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code or 0)
    sys.exit(code)


def _fault_line(fault: SettingFault) -> str:
    """Return the line of a fault; one in a flag names the flag."""
    flags = [flag for flag, where in SET_BY_FLAGS.items() if ".".join(where) == fault.key]
    if not (fault.passed and flags):
        return fault.line
    return _("{flag}: {fault}").format(flag=flag_name(*flags), fault=fault.what)
