"""``forensiclib``: the commands together.

Exit: 0 done; 2 usage; 3 evidence cannot be opened or read, or the host failed; 4 a check failed; 130 cancelled.
"""

from __future__ import annotations

import sys

from forensiclib.cli._streams import safe_streams

EPILOG = "Exit: 0 done, 2 usage, 3 evidence cannot be opened or read, 4 a check failed, 130 cancelled. Evidence is only ever read."


def main() -> None:
    """Entry point of the console script."""
    try:
        _run()
    except KeyboardInterrupt:
        print("forensiclib: cancelled", file=sys.stderr)
        raise SystemExit(130) from None


def _run() -> None:
    safe_streams()
    try:
        import typer
    except ImportError:
        print("forensiclib: the command line needs its extra: pip install 'forensiclib[cli]'", file=sys.stderr)
        raise SystemExit(2) from None

    from forensiclib import __version__
    from forensiclib.cli import carve, cat, catalog, convert, examine, extract, hash, info, ls, recover, search, verify
    from forensiclib.cli._keys import keyed
    from forensiclib.cli._shared import guarded

    app = typer.Typer(
        name="forensiclib",
        help="Read evidence, recover what was deleted, extract artifacts, say which bytes each value came from.",
        epilog=EPILOG,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )

    def version(wanted: bool) -> None:
        if wanted:
            print(f"forensiclib {__version__}")
            raise typer.Exit

    @app.callback()
    def options(asked: bool = typer.Option(False, "--version", callback=version, is_eager=True, help="Say which version this is.")) -> None:
        """Options of the program itself."""

    for module in (info, verify, ls, cat, recover, extract, carve, hash, search, convert, examine, catalog):
        app.command(module.NAME)(guarded(keyed(module.command)))
    app(prog_name="forensiclib")
