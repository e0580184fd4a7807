import pytest

from histocerb import __version__
from histocerb.cli import doctor, export
from histocerb.cli.main import main
from histocerb.core.errors import OutputError, UsageError

COMMANDS = [
    *(
        "demo",
        "segment",
        "status",
        "view",
        "report",
        "export",
        "model",
        "data",
        "train",
        "evaluate",
        "experiment",
        "doctor",
    ),
]


def failing(monkeypatch, error):
    def look(folder):
        raise error

    monkeypatch.setattr(doctor, "all_checks", look)


def test_version(cli):
    assert cli("--version").out == f"histocerb {__version__}\n"


def test_help_names_every_command(cli):
    listed = [line.split()[0] for line in cli("--help").out.split("Commands:\n")[1].splitlines()]
    assert sorted(listed) == sorted(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(cli, command):
    shown = cli(command, "--help")
    assert shown.code == 0
    assert f"histocerb {command}" in shown.out


def test_nothing_asked_is_wrong_usage_and_shows_help(cli):
    shown = cli()
    assert shown.code == 2
    assert "Commands:" in shown.out


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["nonsense"], "nonsense"),
        (["segment", "a.svs"], "--out"),
        (["segment", "--out", "x"], "SLIDE"),
        (["export", "x", "--format", "pdf"], "pdf"),
        (["segment", "a.svs", "--out", "x", "--speed"], "--speed"),
        (["segment", "a.svs", "--out", "x", "--mpp", "fast"], "--mpp"),
    ],
)
def test_wrong_usage_is_one_line_and_status_2(cli, arguments, word):
    shown = cli(*arguments)
    assert shown.code == 2
    assert shown.err.startswith("histocerb: ")
    assert word in shown.err
    assert len(shown.err.splitlines()) == 1


@pytest.mark.parametrize(("error", "code"), [(OutputError("no room"), 1), (UsageError("no room"), 2)])
def test_our_errors_are_one_line(cli, monkeypatch, error, code):
    failing(monkeypatch, error)
    shown = cli("doctor")
    assert (shown.code, shown.err) == (code, "histocerb: no room\n")


def test_unexpected_errors_are_one_line_with_a_hint(cli, monkeypatch):
    failing(monkeypatch, ZeroDivisionError("by\nnought"))
    shown = cli("doctor")
    assert shown.code == 1
    assert shown.err == (
        "histocerb: unexpected ZeroDivisionError: by; run `histocerb --debug ...` for the details\n"
    )


@pytest.mark.parametrize("arguments", [["--debug", "doctor"], ["doctor", "--debug"]])
def test_debug_shows_the_traceback(cli, monkeypatch, arguments):
    failing(monkeypatch, OutputError("no room"))
    shown = cli(*arguments)
    assert shown.code == 1
    assert "Traceback" in shown.err
    assert shown.err.endswith("histocerb: no room\n")


def test_interrupt_is_130(cli, monkeypatch):
    failing(monkeypatch, KeyboardInterrupt())
    shown = cli("doctor")
    assert shown.code == 130
    assert "stopped" in shown.err
    assert "Traceback" not in shown.err


def test_options_of_a_command_are_not_taken_for_global_ones(monkeypatch, tmp_path):
    """Only --quiet and --debug move to the front."""
    seen = []
    monkeypatch.setattr(export, "say", seen.append)
    assert main(["export", str(tmp_path), "--format", "geojson", "--quiet"]) == 1
    assert seen == []
