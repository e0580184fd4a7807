"""A real Ray cluster of several nodes on this machine: the same bytes, also when a node is killed."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from stand_in_on_nodes import SHA256, StandIn

from histocerb.core.errors import UsageError
from histocerb.inference.cluster.cohort import Where
from histocerb.inference.cluster.ray_cluster import Cluster
from histocerb.slides.remote import RemoteFile
from histocerb.slides.staging import Cache

HERE = "127.0.0.1"
WINDOWS = 8
"""Of the three slides."""
STORE_BYTES = 100 << 20
HEAD = {
    "num_cpus": 1,
    "object_store_memory": STORE_BYTES,
    "node_ip_address": HERE,
    "include_dashboard": False,
}
OWN = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # Ray's way to stay on the loopback interface
    "RAY_USAGE_STATS_ENABLED": "0",
}


@dataclass
class Nodes:
    """A cluster; its head is one node."""

    cluster: Any
    address: str

    def add(self) -> Any:
        return self.cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES, node_ip_address=HERE)

    def kill(self, node: Any) -> None:
        self.cluster.remove_node(node, allow_graceful=False)


@pytest.fixture(scope="module")
def nodes(s3) -> Iterator[Nodes]:
    del s3  # nodes get their environment when they start
    here = Path(__file__).parent
    paths = os.pathsep.join(map(str, (here.parents[2], here.parent, here)))
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**OWN, "PYTHONPATH": paths}.items():
            patch.setenv(name, value)
        pytest.importorskip("ray", reason="ray is not installed (extra cluster)")
        from ray.cluster_utils import Cluster as RayCluster

        with tempfile.TemporaryDirectory(prefix="hc-ray-", ignore_cleanup_errors=True) as folder:
            patch.setenv("RAY_TMPDIR", folder)  # sockets have short names, those in `tmp_path` would not
            cluster = RayCluster(initialize_head=True, head_node_args=HEAD)
            yield Nodes(cluster, cluster.address)
            cluster.shutdown()


def test_a_node_killed_in_the_middle_changes_no_byte(nodes, scans, segment, assert_same, tmp_path):
    doomed, _ = nodes.add(), nodes.add()
    log = tmp_path / "windows"
    loader = StandIn(SHA256, 1.0, str(log))
    killer = threading.Thread(target=kill_at, args=(nodes, doomed, log, 3))
    killer.start()
    where = Where(tmp_path / "out", Cache(), Cluster(nodes.address, gpus=False), shard_windows=1)
    outcomes = segment([scans], where, loader=loader)
    killer.join()
    assert [(o.slide.name, o.reason) for o in outcomes] == [("b", ""), ("c", ""), ("a", "")]
    assert_same(tmp_path / "out")
    computed_by = log.read_text().split()
    assert WINDOWS <= len(computed_by) <= WINDOWS + 3
    assert len(set(computed_by)) >= 2
    assert not list((tmp_path / "out").glob("*/.*"))


def kill_at(nodes, node, log, windows):
    """Kill a node while the n-th window is computed."""
    deadline_s = time.monotonic() + 120
    while time.monotonic() < deadline_s:
        if log.exists() and len(log.read_text().split()) >= windows:
            nodes.kill(node)
            return
        time.sleep(0.05)


def test_slides_and_results_in_a_store(nodes, scans, s3, segment, assert_same, put, tmp_path):
    slides = put(scans, RemoteFile(f"{s3}/ray/slides"))
    cache = Cache(tmp_path / "cache")
    where = Where(RemoteFile(f"{s3}/ray/out"), cache, Cluster(nodes.address, gpus=False), shard_windows=4)
    outcomes = segment([slides], where)
    assert [(o.failed, o.reason) for o in outcomes] == [(False, "")] * 3
    assert_same(where.out)
    assert all(outcome.result.skipped for outcome in segment([slides], where))


def test_what_fails_on_a_node_is_the_outcome_of_its_slide(nodes, scans, segment, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"not an image")
    where = Where(tmp_path / "out", Cache(), Cluster(nodes.address, gpus=False))
    (bad,) = segment([tmp_path / "bad.png"], where)
    assert "no reader knows" in bad.reason
    assert "bad" in (tmp_path / "out" / "failures.csv").read_text()
    (other,) = segment([scans / "a.png"], where, loader=StandIn("1" * 64))
    assert "expected the weights 000000000000 on every node" in other.reason


def test_no_cluster_is_wrong_usage(nodes, scans, segment, tmp_path):
    del nodes  # Ray is there
    where = Where(tmp_path / "out", Cache(), Cluster(f"{HERE}:1", gpus=False))
    with pytest.raises(UsageError, match="expected a Ray cluster, found none"):
        segment([scans / "a.png"], where)
