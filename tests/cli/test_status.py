import json

import pytest

pytestmark = pytest.mark.usefixtures("colour_model")


def segmented(cli, tmp_path, *slides):
    cli("segment", *slides, "--out", tmp_path / "out", "--mpp", 0.5)
    return tmp_path / "out"


def test_every_state_is_told(cli, picture, tmp_path):
    out = segmented(cli, tmp_path, picture, tmp_path / "none.svs")
    configuration = json.loads((out / "run.json").read_text())
    for name in ("later", "begun"):
        configuration["configuration"]["cohort"].append(
            {"name": name, "slide": f"/x/{name}.svs", "mpp": None}
        )
    (out / "run.json").write_text(json.dumps(configuration))
    manifest = json.loads((out / "picture" / "manifest.json").read_text())
    (out / "begun").mkdir()
    (out / "begun" / "manifest.json").write_text(json.dumps({**manifest, "status": "running"}))
    shown = cli("status", out)
    assert shown.code == 0
    lines = {line.split()[0]: line for line in shown.out.splitlines()}
    assert lines["picture"].split()[1:] == ["done", "4", "0.02"]
    assert lines["none"].split()[1] == "failed"
    assert "no such file" in lines["none"]
    assert lines["begun"].split()[1:] == ["interrupted"]
    assert lines["later"].split()[1:] == ["not", "begun"]
    assert (
        "4 slides: 1 done, 1 failed, 0 running, 1 interrupted, 1 not begun; 4 objects on 0.02 mm2 of tissue"
        in shown.out
    )
    assert f"failures: {out / 'failures.csv'}" in shown.out
    assert f"summary: {out / 'summary.parquet'}" in shown.out


def test_finished_folder_has_no_failures(cli, picture, tmp_path):
    shown = cli("status", segmented(cli, tmp_path, picture))
    assert (shown.code, "failures" in shown.out) == (0, False)
    assert "1 slide: 1 done, 0 failed" in shown.out


def test_folder_without_anything(cli, tmp_path):
    shown = cli("status", tmp_path)
    assert shown.code == 0
    assert shown.out.startswith("0 slides")


def test_other_folders_are_wrong_usage(cli, picture, tmp_path):
    out = segmented(cli, tmp_path, picture)
    for folder, word in ((tmp_path / "none", "--out"), (out / "picture", "one slide")):
        shown = cli("status", folder)
        assert shown.code == 2
        assert word in shown.err
