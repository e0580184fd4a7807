import subprocess
import sys
from pathlib import Path

import pytest

from histocerb.core.errors import UsageError
from histocerb.inference import memory
from histocerb.inference.memory import need_mb, within
from histocerb.inference.pipeline import WorkSettings

LARGE = WorkSettings(readers=8, queue=16, tile_windows=4, settlers=16, cache_mb=512)


def test_settings_that_fit_stay(model):
    settings = WorkSettings()
    assert within(10**12, settings, model) == settings


def test_smaller_budgets_give_smaller_settings(model, monkeypatch):
    monkeypatch.setattr(memory, "_taken_mb", lambda _: 300.0)
    sizes = []
    for budget in (8_000_000_000, 2_000_000_000, 1_000_000_000):
        chosen = within(budget, LARGE, model)
        sizes.append(need_mb(chosen))
        assert (300 + need_mb(chosen)) * 2**20 < budget
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 3


def test_too_small_a_budget_says_the_least(model):
    with pytest.raises(
        UsageError, match=r"at least (\d\.\d)GB, of which the model takes .* found 0\.1GB"
    ) as raised:
        within(10**8, LARGE, model)
    least = float(str(raised.value).split("at least ")[1].split("GB")[0])
    smallest = within(int(least * 1e9), LARGE, model)
    assert (smallest.settlers, smallest.queue, smallest.readers, smallest.tile_windows) == (1, 1, 1, 1)


MEASURED = """
import sys
sys.path.insert(0, {root!r})
from pathlib import Path
from benchmarks.bench_memory import PatternSlide
from benchmarks.stand_in import StandInPredictor
from histocerb.core.tasks import CERBERUS
from histocerb.core.memory import peak_memory_mb
from histocerb.inference.manifest import RunningModel
from histocerb.inference import memory
from histocerb.inference.memory import within
from histocerb.inference.pipeline import WorkSettings
from histocerb.inference.slide import segment_slide

model = RunningModel("stand-in", "0" * 64, CERBERUS, StandInPredictor(CERBERUS))
settings = WorkSettings(4, 8, 2, 4, 256)
if {budget}:
    settings = within({budget}, settings, model)
segment_slide(PatternSlide(4200, 3100), model, Path({folder!r}) / "slide", settings)
print(peak_memory_mb() * 2**20)
"""


def peak_bytes(folder, budget=0):
    code = MEASURED.format(root=str(Path(__file__).parents[2]), folder=str(folder), budget=budget)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return float(done.stdout)


@pytest.mark.skipif(sys.platform == "win32", reason="the system does not tell the peak")
def test_a_budget_is_kept(tmp_path):
    budget = 900_000_000
    free = peak_bytes(tmp_path / "free")
    kept = peak_bytes(tmp_path / "kept", budget)
    assert kept < budget
    assert kept < free
    for name in ("objects.parquet", "tissue.parquet"):
        one, other = ((tmp_path / run / "slide" / name).read_bytes() for run in ("free", "kept"))
        assert one == other
