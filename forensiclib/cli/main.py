"""``forensiclib``: the commands together, and exit codes.

0 done; 2 usage; 3 evidence cannot be opened or read; 4 a check failed; 130 cancelled.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Entry point of the console script."""
    try:
        import typer
    except ImportError:
        print("the command line needs its extra: pip install 'forensiclib[cli]'", file=sys.stderr)
        raise SystemExit(2) from None

    from forensiclib.cli import carve, cat, catalog, examine, extract, hash, info, ls, recover, verify
    from forensiclib.core.errors import Cancelled, EvidenceError, MissingSupport, UsageError

    app = typer.Typer(
        name="forensiclib",
        help="Read evidence, recover what was deleted, extract artifacts, say which bytes each value came from.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    for module in (info, verify, ls, cat, recover, extract, carve, hash, examine, catalog):
        app.command(module.NAME)(module.command)
    try:
        app()
    except UsageError as error:
        _fail(error, 2)
    except MissingSupport as error:
        _fail(error, 2)
    except EvidenceError as error:
        _fail(error, 3)
    except (Cancelled, KeyboardInterrupt):
        _fail("cancelled", 130)
    except BrokenPipeError:
        # The reader (head, less) went away: that is no error, and nothing more can be said there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None


def _fail(error: object, code: int) -> None:
    from forensiclib.core.text import escape

    kind = "" if isinstance(error, str) else f"{type(error).__name__}: "
    print(f"forensiclib: {kind}{escape(str(error))}", file=sys.stderr)
    raise SystemExit(code)
