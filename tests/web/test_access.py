"""Only who has the link may ask, and only what belongs to the results can be read."""

import json
import os
import shutil
import socket
from dataclasses import replace

import pytest
from PIL import Image
from served import NAME, Client, start

from histocerb.core.errors import SlideError, UsageError
from histocerb.inference.manifest import read_manifest, write_manifest
from histocerb.web.opened import Desk
from histocerb.web.results import open_cohort
from histocerb.web.server import serve
from histocerb.web.slides import SlideShelf


@pytest.fixture
def own_cohort(cohort, tmp_path):
    """A copy that a test may change."""
    return shutil.copytree(cohort, tmp_path / "trial")


@pytest.fixture
def running(own_cohort):
    link, stop = start(own_cohort)
    yield Client(link)
    stop()


@pytest.mark.parametrize("path", ["", "assets/viewer.js", "api/cohort", f"api/slides/{NAME}/tissue.bin"])
def test_without_the_token_nothing_is_given(ask, path):
    assert ask(path, token=False).status == 403
    assert ask(f"{path}?token=guess", token=False).status == 403
    wrong = {"Cookie": f"histocerb_{ask.port}=guess"}
    assert ask(path, wrong, token=False).status == 403


def test_the_link_leaves_a_cookie_and_no_token_in_the_address(ask):
    answer = ask(f"?token={ask.token}&a=1", token=False)
    assert answer.status == 303
    assert answer.headers["Location"] == "/?a=1"
    cookie = answer.headers["Set-Cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_a_doubled_slash_leads_nowhere_else(ask):
    answer = ask(f"//example.org/?token={ask.token}", token=False)
    assert answer.headers["Location"].startswith("/example.org")


def test_other_names_of_this_machine_are_refused(ask):
    """A page of another site that points its name at 127.0.0.1 is not let in."""
    assert ask("api/cohort", {"Host": f"evil.example:{ask.port}"}).status == 421
    assert ask("api/cohort", {"Host": f"localhost:{ask.port}"}).status == 200


def test_pages_may_ask_no_other_machine(ask):
    policy = ask("").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "http" not in policy


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "assets/../../../../etc/passwd",
        "assets/%2e%2e/%2e%2e/%2e%2e/server.py",
        "api/slides/..%2f..%2fsecret/tissue.bin",
        "api/slides/%2e%2e/tissue.bin",
        "api/slides/.",
        "api/slides/%00",
        "api/slides/torn",
        "api/slides/later/counts",
        f"api/slides/{NAME}%2f../tissue.bin",
        "run.json",
        f"{NAME}/manifest.json",
    ],
)
def test_traversal_and_forged_names_lead_to_nothing(ask, path):
    answer = ask(path)
    assert answer.status in (400, 404, 422)
    assert b"root:" not in answer.body
    assert b"sha256" not in answer.body


def test_links_out_of_the_results_are_not_followed(own_cohort, tmp_path):
    elsewhere = shutil.copytree(own_cohort / NAME, tmp_path / "elsewhere" / "linked")
    os.symlink(elsewhere, own_cohort / "linked")
    tissue = own_cohort / NAME / "tissue.parquet"
    tissue.rename(tmp_path / "tissue.parquet")
    os.symlink(tmp_path / "tissue.parquet", tissue)
    link, stop = start(own_cohort)
    ask = Client(link)
    assert ask("api/slides/linked").status == 404
    answer = ask(f"api/slides/{NAME}/tissue.bin")
    assert (answer.status, b"none" in answer.body) == (500, True)
    assert ask(f"api/slides/{NAME}/counts").status == 200
    rows = {row["name"]: row for row in ask.json("api/cohort")["slides"]}
    assert (rows[NAME]["state"], rows["linked"]["state"]) == ("done", "failed")
    assert "found a link to elsewhere; copy the result into it" in rows["linked"]["reason"]
    stop()


@pytest.mark.parametrize("single", [False, True])
def test_a_result_of_unknown_tasks_has_failed_and_takes_no_other_down(single, own_cohort):
    later = shutil.copytree(own_cohort / NAME, own_cohort / "later")
    manifest = read_manifest(later)
    write_manifest(later, replace(manifest, model=manifest.model | {"tasks": "teeth"}))
    link, stop = start(later if single else own_cohort)
    rows = {row["name"]: row for row in Client(link).json("api/cohort")["slides"]}
    assert rows["later"]["state"] == "failed"
    assert "found 'teeth'; update histocerb" in rows["later"]["reason"]
    assert single or rows[NAME]["state"] == "done"
    stop()


def test_a_manifest_cannot_name_another_file(own_cohort, running, tmp_path):
    """Its path is only opened as a slide, and only shown if the fingerprint fits."""
    folder = own_cohort / NAME
    other = tmp_path / "other.png"
    shutil.copy(own_cohort / "run.json", tmp_path / "secret")
    Image.new("RGB", (64, 64), "red").save(other)
    manifest = read_manifest(folder)
    for path in (tmp_path / "secret", other):
        write_manifest(folder, replace(manifest, slide=manifest.slide | {"path": str(path)}))
        answer = running(f"api/slides/{NAME}/tiles/0/0_0.jpg")
        assert answer.status == 409
        assert "expected the slide" in json.loads(answer.body)["error"]


def test_a_slide_that_moved_is_found_again(own_cohort, slide_file, tmp_path):
    folder = own_cohort / NAME
    away = tmp_path / "archive" / "deep"
    away.mkdir(parents=True)
    shutil.copy(slide_file, away / "drawn-1.tif")
    manifest = read_manifest(folder)
    moved = replace(manifest, slide=manifest.slide | {"path": "/gone/drawn-1.tif"})
    with pytest.raises(SlideError, match="--slides"):
        SlideShelf().slide(moved, folder)
    shelf = SlideShelf([tmp_path / "archive"])
    assert shelf.slide(moved, folder).path == str(away / "drawn-1.tif")
    shelf.close()


def test_objects_can_be_seen_without_the_slide(own_cohort):
    folder = own_cohort / NAME
    manifest = read_manifest(folder)
    write_manifest(folder, replace(manifest, slide=manifest.slide | {"path": "/gone/x.tif"}))
    link, stop = start(own_cohort)
    ask = Client(link)
    facts = ask.json(f"api/slides/{NAME}")
    assert "expected the slide /gone/x.tif" in facts["slide_problem"]
    assert sum(ask.json(f"api/slides/{NAME}/counts")["gland"].values()) == 2
    stop()


def test_a_result_that_changes_is_read_anew(own_cohort, running):
    before = running.json(f"api/slides/{NAME}")["stamp"]
    path = own_cohort / NAME / "objects.parquet"
    os.utime(path, (1, 1))
    assert running.json(f"api/slides/{NAME}")["stamp"] != before


def test_the_folder_of_one_slide_opens_too(cohort):
    found = open_cohort(cohort / NAME)
    assert found.single
    assert [(state.name, state.is_done) for state in found.states()] == [(NAME, True)]


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(UsageError, match="expected the results of histocerb segment"):
        open_cohort(tmp_path)
    with pytest.raises(UsageError, match="found none"):
        open_cohort(tmp_path / "nothing")


def test_a_port_in_use_is_said(cohort):
    desk = Desk(open_cohort(cohort))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port}"):
            serve(desk, port=port)


def test_tokens_are_long_and_new_each_time(cohort):
    served = [serve(Desk(open_cohort(cohort))) for _ in range(2)]
    tokens = [one.link.split("token=")[1] for one in served]
    assert all(one.link.startswith("http://127.0.0.1:") for one in served)
    assert all(len(token) >= 32 for token in tokens)
    assert tokens[0] != tokens[1]
    for one in served:
        one.close()
