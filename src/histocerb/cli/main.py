"""`histocerb`: the entry point and the global options."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from histocerb._version import __version__
from histocerb.cli import (
    console,
    data,
    demo,
    doctor,
    evaluate,
    experiment,
    export,
    model,
    report,
    segment,
    status,
    train,
    view,
)
from histocerb.cli.console import ExitCode, Verbosity

app = typer.Typer(
    name="histocerb",
    help="Nuclei, glands, lumina and tissue types from H&E slides.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"histocerb {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _global_options(
    context: typer.Context,
    quiet: Annotated[bool, typer.Option("--quiet", help="Plain log lines, no progress bars.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks and details.")] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    del version
    context.obj = Verbosity(quiet=quiet, debug=debug)
    console.start_logging(context.obj)
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(ExitCode.USAGE)


app.command("demo")(demo.demo)
app.command("segment")(segment.segment)
app.command("status")(status.status)
app.command("view")(view.view)
app.command("report")(report.report)
app.command("export")(export.export)
app.add_typer(model.app, name="model")
app.add_typer(data.app, name="data")
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.add_typer(experiment.app, name="experiment")
app.command("doctor")(doctor.doctor)


def run() -> None:
    """Entry point of the command."""
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Run a command line.

    Args:
        arguments: Without the name of the program.

    Returns:
        Exit status: 0 done, 1 something failed, 2 wrong usage, 130 interrupted.
    """
    chosen = Verbosity(debug="--debug" in arguments)
    return console.guarded(lambda: _call(_global_first(arguments)), chosen)


def _call(arguments: list[str]) -> int:
    try:
        code = app(arguments, prog_name="histocerb", standalone_mode=False)
    except typer.BadParameter as error:
        return _wrong_usage(error.format_message())
    except typer.Abort:
        return console.stopped()
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        return _wrong_usage(error.format_message())
    if code == ExitCode.STOPPED:
        return console.stopped()
    return int(code or ExitCode.DONE)


def _wrong_usage(message: str) -> int:
    print(f"histocerb: {message.rstrip('.')}; see histocerb --help", file=sys.stderr)
    return ExitCode.USAGE


def _global_first(arguments: Sequence[str]) -> list[str]:
    """The same arguments; --quiet and --debug may stand anywhere."""
    return sorted(arguments, key=lambda word: word not in ("--quiet", "--debug"))
