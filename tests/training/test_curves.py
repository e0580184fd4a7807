from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from histocerb.training.curves import draw_curves, panels_of
from histocerb.training.journal import Journal


def _journal(tmp_path: Path, values: list[float]) -> Journal:
    journal = Journal(tmp_path / "journal.csv", (10, 10))
    for number, value in enumerate(values):
        stage, step = 1 + number // 5, 2 * (number % 5 + 1)
        journal.write(stage, step, {"loss/a": value, "valid/s/gland/pq": 0.5, "valid/s/gland/dice": 0.6})
    return journal


def test_points_are_by_step_of_the_run(tmp_path: Path) -> None:
    panels = panels_of(_journal(tmp_path, [5.0, 4.0, 3.0, 2.0, 1.0, 9.0]))
    assert list(panels) == ["loss/a", "valid/s/gland"]
    assert panels["loss/a"]["loss/a"][-2:] == [(10, 1.0), (12, 9.0)]
    assert set(panels["valid/s/gland"]) == {"pq", "dice"}


def test_what_falls_goes_down_on_the_page(tmp_path: Path) -> None:
    path = tmp_path / "curves.png"
    draw_curves(_journal(tmp_path, list(np.linspace(1, 0, 10))), path)
    page = np.asarray(Image.open(path).convert("RGB")).astype(int)[:, :420]
    rows, columns = np.nonzero((page[..., 2] - page[..., 0]) > 80)  # the ink of the first curve
    assert len(rows) > 300
    left, right = columns < 150, columns > 350
    assert rows[left].mean() < 80 < 140 < rows[right].mean()


def test_nothing_to_draw_draws_nothing(tmp_path: Path) -> None:
    draw_curves(Journal(tmp_path / "journal.csv", (1,)), tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()
