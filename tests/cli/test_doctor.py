import importlib.metadata

import pytest

from histocerb.cli import checks, doctor
from histocerb.cli.checks import Check, all_checks


def test_looks_at_everything(tmp_path):
    found = {check.name: check for check in all_checks(tmp_path / "not" / "yet")}
    assert {"histocerb", "torch", "GPU", "OpenSlide", "TIFF codecs", "default model", "free disk"} <= set(
        found
    )
    assert found["OpenSlide"].ok
    assert found["TIFF codecs"].ok
    assert str(tmp_path) in found["free disk"].found


@pytest.mark.parametrize(
    ("check", "code", "mark"),
    [
        (Check("a", "1.0"), 0, "ok"),
        (Check("a", "missing", "pip install a", essential=False), 0, "note"),
        (Check("a", "missing", "pip install a"), 1, "MISSING"),
    ],
)
def test_status_and_remedy(cli, monkeypatch, check, code, mark):
    monkeypatch.setattr(doctor, "all_checks", lambda folder: [check])
    shown = cli("doctor")
    assert shown.code == code
    assert shown.out.split()[0] == mark
    assert check.remedy in shown.out


def test_missing_package(monkeypatch, tmp_path):
    known = importlib.metadata.version

    def version(name):
        if name in ("lightning", "openvino"):
            raise importlib.metadata.PackageNotFoundError(name)
        return known(name)

    monkeypatch.setattr(checks, "version", version)
    found = {check.name: check for check in checks._packages()}
    assert found["lightning"] == Check("lightning", "missing", "pip install lightning")
    assert not found["openvino"].essential
    assert found["numpy"].ok


def test_a_check_that_breaks_is_a_finding():
    def _odd():
        raise RuntimeError("broken library")

    assert "broken library" in checks._safely(_odd).found
    assert not checks._safely(_odd).ok


def test_machine_code_without_a_place(monkeypatch):
    monkeypatch.setattr("histocerb.core.compiled.folder", lambda: None)
    found = checks._machine_code()
    assert "NUMBA_CACHE_DIR" in found.remedy
    assert not found.essential


def test_what_an_extra_needs_may_be_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(checks, "requires", lambda _: ['nosuchpackage>=2; extra == "cluster"'])
    missing = next(check for check in all_checks(tmp_path) if check.name == "nosuchpackage")
    assert (missing.found, missing.remedy, missing.essential) == (
        "missing",
        "pip install 'histocerb[cluster]'",
        False,
    )
