"""`histocerb view` and `histocerb report` as they are called."""

import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import urllib.request
from dataclasses import replace
from pathlib import Path

from PIL import Image
from served import NAME

from histocerb.cli import view
from histocerb.cli.main import main
from histocerb.inference.manifest import read_manifest, write_manifest


def test_view_serves_until_it_is_interrupted(cohort):
    command = [
        sys.executable,
        "-c",
        "from histocerb.cli.main import run; run()",
        "view",
        cohort,
        "--no-browser",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    link = re.search(r"http://127\.0\.0\.1:\d+/\?token=\S+", process.stdout.readline()).group(0)
    cookies = urllib.request.HTTPCookieProcessor()
    with urllib.request.build_opener(cookies).open(link, timeout=30) as answer:
        assert b"viewer.js" in answer.read()
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    process.stdout.close()


def test_view_says_what_another_host_means(cohort, monkeypatch, capsys):
    from histocerb.web.server import Served

    opened = queue.Queue()
    monkeypatch.setattr(Served, "run", lambda self, ready: (ready(self.link), self.close()))
    monkeypatch.setattr(view.webbrowser, "open", opened.put)
    assert main(["view", str(cohort), "--host", "0.0.0.0"]) == 0
    out = capsys.readouterr().out
    assert "not encrypted" in out
    assert re.search(r"viewer: +(\S+)", out).group(1) == opened.get(timeout=20)


def test_view_answers_while_a_browser_in_the_terminal_is_open(cohort, monkeypatch):
    from histocerb.web.server import Served

    answers, told = threading.Event(), queue.Queue()
    monkeypatch.setattr(Served, "run", lambda self, ready: (ready(self.link), answers.set(), self.close()))
    monkeypatch.setattr(view.webbrowser, "open", lambda link: told.put(answers.wait(5)))
    assert main(["view", str(cohort)]) == 0
    assert told.get(timeout=20)


def test_view_refuses_what_is_no_result(tmp_path, capsys):
    assert main(["view", str(tmp_path)]) == 2
    assert "expected the results of histocerb segment, found none" in capsys.readouterr().err


def test_view_refuses_to_compare_other_slides(cohort, tmp_path, capsys):
    copy = shutil.copytree(cohort, tmp_path / "trial")
    manifest = read_manifest(copy / NAME)
    write_manifest(copy / NAME, replace(manifest, slide=manifest.slide | {"fingerprint": "another"}))
    assert main(["view", str(cohort), "--compare", str(copy)]) == 2
    error = capsys.readouterr().err
    assert f"found no slide that both {cohort} and {copy} have" in " ".join(error.split())
    assert main(["view", str(cohort), "--compare", str(tmp_path / "nothing")]) == 2
    assert "expected the results of histocerb segment, found none" in " ".join(
        capsys.readouterr().err.split()
    )


def test_view_compares(cohort, other, monkeypatch):
    from histocerb.web.server import Served

    asked = []
    monkeypatch.setattr(Served, "run", lambda self, ready: (asked.append(self.link), self.close()))
    assert main(["view", str(cohort), "--compare", str(other), "--no-browser"]) == 0
    assert len(asked) == 1


def test_report_of_a_cohort_and_of_a_slide(cohort, tmp_path, capsys):
    out = Path(shutil.copytree(cohort, tmp_path / "trial"))
    Image.new("RGB", (30, 20)).save(out / NAME / "overview.png")
    assert main(["report", str(out)]) == 0
    assert capsys.readouterr().out.split() == [str(out / NAME / "report.html"), str(out / "report.html")]
    os.symlink(shutil.copytree(out / NAME, tmp_path / "other" / "linked"), out / "linked")
    assert main(["report", str(out)]) == 0
    assert capsys.readouterr().out.split() == [str(out / NAME / "report.html"), str(out / "report.html")]
    assert "linked: expected a folder in trial, found a link" in (out / "report.html").read_text("utf-8")
    (out / NAME / "report.html").unlink()
    assert main(["report", str(out / NAME)]) == 0
    assert (out / NAME / "report.html").exists()


def test_a_slide_without_a_report_takes_no_other_down(cohort, tmp_path, capsys):
    out = Path(shutil.copytree(cohort, tmp_path / "trial"))
    Image.new("RGB", (30, 20)).save(out / NAME / "overview.png")
    for name in ("a", "b", "c", "d"):
        shutil.copytree(out / NAME, out / name)
    (out / "a" / "overview.png").unlink()
    (out / "b" / "overview.png").write_bytes((out / "b" / "overview.png").read_bytes()[:40])
    (out / "c" / "objects.parquet").write_bytes(b"PAR1")
    (out / "d" / "report.html").mkdir()
    assert main(["report", str(out)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert (
        lines[0]
        == "a: failed: expected a file overview.png of its own, found none; run histocerb segment again"
    )
    assert lines[1].startswith(
        "b: failed: expected a picture of the slide, found a damaged file overview.png ("
    )
    assert lines[2].startswith(
        "c: failed: expected a table of objects, found a damaged file objects.parquet ("
    )
    assert lines[3].startswith("d: failed: expected to write report.html, found: ")
    assert lines[4:] == [str(out / NAME / "report.html"), str(out / "report.html")]
    page = (out / "report.html").read_text("utf-8")
    assert "7 slides, 1 done, 5 failed" in page
    assert "failed: expected a file overview.png of its own, found none" in page
    assert main(["report", str(out / "b")]) == 1
    assert not (out / "b" / "report.html").exists()
