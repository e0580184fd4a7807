from __future__ import annotations

import json
import os
from dataclasses import replace

import pytest

from histocerb.core.errors import UsageError
from histocerb.inference.cohort.status import State, slide_states
from histocerb.inference.lease import leased
from histocerb.inference.manifest import Status, read_manifest, write_manifest


def states(out):
    return {slide.name: slide.state for slide in slide_states(out)}


@pytest.fixture
def out(scans, segment, tmp_path):
    """a is done, b has failed, c and d are not begun."""
    (scans / "b.png").write_bytes(b"")
    out = tmp_path / "out"
    segment(scans / "a.png", scans / "b.png")
    content = json.loads((out / "run.json").read_text())
    content["configuration"]["cohort"] += [{"name": name} for name in "cd"]
    (out / "run.json").write_text(json.dumps(content))
    return out


def test_states_from_what_is_on_disk(out):
    assert states(out) == {"a": State.DONE, "b": State.FAILED, "c": State.WAITING, "d": State.WAITING}
    (reason,) = [slide.reason for slide in slide_states(out) if slide.name == "b"]
    assert "empty file" in reason
    (out / "run.json").unlink()
    assert states(out) == {"a": State.DONE, "b": State.FAILED}
    (out / "run.json").write_text('{"configuration": {"slides": ["a.svs"]}}')
    assert states(out) == {"a": State.DONE, "b": State.FAILED}


def test_a_slide_is_running_while_its_process_lives(out):
    write_manifest(out / "c", replace(read_manifest(out / "a"), status=Status.RUNNING))
    work = out / "c" / ".work"
    assert states(out)["c"] is State.INTERRUPTED
    with leased(work):
        assert states(out)["c"] is State.RUNNING
        lease = json.loads((work / "lease").read_text())
        os.utime(work / "lease", (0, 0))
        assert states(out)["c"] is State.INTERRUPTED
    work.mkdir()
    (work / "lease").write_text(json.dumps({**lease, "birth": "another"}))
    assert states(out)["c"] is State.INTERRUPTED
    (work / "lease").write_text(json.dumps({**lease, "machine": "another host"}))
    assert states(out)["c"] is State.RUNNING
    (work / "lease").write_text("")
    assert states(out)["c"] is State.RUNNING


def test_failures_within_a_slide(out):
    write_manifest(out / "c", replace(read_manifest(out / "a"), status=Status.FAILED, error="tile 3"))
    (out / "d").mkdir()
    (out / "d" / "manifest.json").write_text("{")
    found = {slide.name: slide for slide in slide_states(out)}
    assert (found["c"].state, found["c"].reason) == (State.FAILED, "tile 3")
    assert found["d"].state is State.FAILED
    assert "manifest" in found["d"].reason


def test_other_folders_are_refused(out, tmp_path):
    with pytest.raises(UsageError, match="found none"):
        slide_states(tmp_path / "none")
    with pytest.raises(UsageError, match="one slide"):
        slide_states(out / "a")
