import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import asdict, replace

import pytest

from histocerb.core.errors import InWorkError
from histocerb.inference import lease as lease_module
from histocerb.inference import process
from histocerb.inference.lease import LEASE_FILE, Holder, Terms, leased, looks_held
from histocerb.inference.process import is_alive, this_machine, this_process

HERE = Holder(this_machine(), os.getpid(), this_process(), "2026-01-01 00:00:00 UTC", "other")
ELSEWHERE = replace(HERE, machine="node7 boot pid:[1]")


@pytest.fixture
def dead_pid():
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def leave(folder, holder, age_s=0.0):
    """A lease as another process leaves it."""
    folder.mkdir(exist_ok=True)
    path = folder / LEASE_FILE
    path.write_text(json.dumps(asdict(holder)) if holder else "")
    os.utime(path, (time.time() - age_s,) * 2)
    return path


def assert_held(folder, match="in work elsewhere"):
    with pytest.raises(InWorkError, match=match), leased(folder):
        pytest.fail("taken")


def assert_free(folder):
    with leased(folder) as lease:
        lease.check()


def test_one_holder_at_a_time(tmp_path):
    work = tmp_path / "slide" / ".work"
    with leased(work) as lease:
        lease.check()
        assert_held(work, rf"{tmp_path}/slide free, .* by process {os.getpid()} on .* since 20")
        lease.check()
        assert [path.name for path in work.iterdir()] == [LEASE_FILE]
    assert not work.exists()
    assert_free(work)


def test_what_else_is_in_the_folder_stays(tmp_path):
    (tmp_path / "key").write_text("1")
    with leased(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_sign_of_life_keeps_it_and_two_minutes_without_end_it(tmp_path):
    leave(tmp_path, ELSEWHERE, age_s=100)
    assert_held(tmp_path, "on node7 since 2026-01-01 00:00:00 UTC .*last sign of life 100 s ago")
    leave(tmp_path, ELSEWHERE, age_s=130)
    assert_free(tmp_path)


def test_a_clock_that_was_set_back_makes_no_lease_old(tmp_path):
    leave(tmp_path, ELSEWHERE, age_s=-1000)
    assert_held(tmp_path)


def test_a_dead_process_of_this_machine_ends_it_at_once(tmp_path, dead_pid):
    leave(tmp_path, replace(HERE, pid=dead_pid))
    assert_free(tmp_path)
    leave(tmp_path, replace(HERE, birth="1"))
    assert_free(tmp_path)
    leave(tmp_path, replace(ELSEWHERE, pid=dead_pid))
    assert_held(tmp_path)


def test_a_lease_that_says_nothing_ends_after_ten_seconds(tmp_path):
    leave(tmp_path, None)
    assert_held(tmp_path, "a process that has just begun")
    leave(tmp_path, None, age_s=11)
    assert_free(tmp_path)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_killed_process_that_nobody_has_buried_is_dead():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    birth = process._birth(child.pid)
    assert is_alive(child.pid, birth)
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not is_alive(child.pid, birth)
    child.communicate()


def test_the_holder_gives_signs_of_life(tmp_path):
    with leased(tmp_path, Terms(refresh_s=0.02)):
        path = tmp_path / LEASE_FILE
        os.utime(path, (1000, 1000))
        deadline = time.monotonic() + 30
        while path.stat().st_mtime < 2000 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert path.stat().st_mtime > 2000


@pytest.mark.parametrize("other", [ELSEWHERE, None])
def test_who_lost_it_is_told_and_leaves_that_of_the_other(tmp_path, other):
    with leased(tmp_path) as lease:
        path = leave(tmp_path, other)
        os.utime(path, (1000, 1000))
        with pytest.raises(InWorkError, match=r"took the slide over.* nothing of it was published"):
            lease.check()
        assert not lease.refresh()
        assert path.stat().st_mtime == 1000
    assert path.exists()
    path.unlink()
    with leased(tmp_path) as lease:
        path.unlink()
        with pytest.raises(InWorkError, match="another process took the slide over"):
            lease.check()


def test_one_of_many_takes_what_is_over(tmp_path):
    for _ in range(10):
        leave(tmp_path, ELSEWHERE, age_s=1000)
        start, end = threading.Barrier(8), threading.Barrier(8)
        outcomes = []

        def take(start=start, end=end, outcomes=outcomes):
            """For a moment two may believe that they took it; who is right is said by `check`."""
            start.wait(60)
            with ExitStack() as stack:
                try:
                    lease = stack.enter_context(leased(tmp_path))
                except InWorkError:
                    lease = None
                end.wait(60)
                try:
                    if lease is not None:
                        lease.check()
                    outcomes.append("left" if lease is None else "took")
                except InWorkError:
                    outcomes.append("left")

        threads = [threading.Thread(target=take) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == ["left"] * 7 + ["took"]


def test_a_lease_that_came_to_life_while_it_was_taken_is_put_back(tmp_path):
    path = leave(tmp_path, ELSEWHERE, age_s=1000)
    seen = lease_module._look(path)
    with pytest.MonkeyPatch.context() as patch:
        # what the slower of two processes does: it saw the old lease, and finds that of the faster one
        patch.setattr(
            lease_module, "_look", lambda path, look=lease_module._look: once(patch, path, look, seen)
        )
        faster = leave(tmp_path, replace(ELSEWHERE, token="faster"))
        assert_held(tmp_path)
    assert json.loads(faster.read_text())["token"] == "faster"
    assert [file.name for file in tmp_path.iterdir()] == [LEASE_FILE]


def once(patch, path, look, seen):
    """The old state, then the truth again."""
    patch.setattr(lease_module, "_look", look)
    assert look(path) != seen
    return seen


@pytest.mark.parametrize(
    "holder, age_s, held",
    [
        (ELSEWHERE, 5, True),
        (ELSEWHERE, 1000, False),
        (replace(ELSEWHERE, machine=this_machine(), pid=2**22 + 1), 5, False),
        (None, 1, True),
        (None, 100, False),
    ],
)
def test_looks_held_by_the_rules_of_the_lease(tmp_path, holder, age_s, held):
    assert not looks_held(tmp_path)
    leave(tmp_path, holder, age_s=age_s)
    before = sorted(tmp_path.iterdir())
    assert looks_held(tmp_path) is held
    assert sorted(tmp_path.iterdir()) == before
