"""Time of comparing found nuclei with a truth: panoptic quality of 1000 x 1000 pixels with 2,000 nuclei.

Run as `python -m benchmarks.bench_metrics [SIDE ...]`. One core; medians after one run that is not counted.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from histocerb.metrics.detection import Detections, detections, froc, froc_interval
from histocerb.metrics.matching import match
from histocerb.metrics.objects import object_dice, object_f1, object_hausdorff
from histocerb.metrics.places import near
from histocerb.metrics.segmentation import aji, panoptic_quality, panoptic_quality_per_class

NUCLEI_PER_MPX = 2000
SIDES_PX = (1000, 4000)
CLASSES = ("a", "b", "c", "d", "e", "f")
RUNS = 9


def nuclei(side_px: int, seed: int) -> npt.NDArray[np.int32]:
    """Ids of elliptical nuclei on a jittered grid, every one with pixels of its own."""
    rng = np.random.default_rng(seed)
    ids = np.zeros((side_px, side_px), np.int32)
    count = round(NUCLEI_PER_MPX * side_px**2 / 1e6)
    columns = int(np.ceil(np.sqrt(count)))
    spacing = side_px / columns
    y, x = np.mgrid[-8:9, -8:9]
    for index in range(count):
        row, column = (np.array(divmod(index, columns)) + 0.5) * spacing + rng.uniform(-2, 2, 2)
        top, left = (int(np.clip(at, 8, side_px - 9)) - 8 for at in (row, column))
        mask = (y / rng.uniform(5, 8)) ** 2 + (x / rng.uniform(5, 8)) ** 2 <= 1
        ids[top : top + 17, left : left + 17][mask] = index + 1
    return ids


def median_ms(work: Callable[[], object], runs: int = RUNS) -> float:
    """Median processor time of one call."""
    work()
    seconds = []
    for _ in range(runs):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return 1000 * statistics.median(seconds)


def detected(seed: int, count: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Centres of marks and of detections near them, as boxes without extent."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0, 20_000, (count, 2))
    pred = truth + rng.normal(0, 4, truth.shape)
    return np.hstack([truth, truth]).astype(np.float32), np.hstack([pred, pred]).astype(np.float32)


def hits(
    marks: npt.NDArray[np.float32], found: npt.NDArray[np.float32], score: npt.NDArray[np.float64]
) -> Detections:
    """Detections of one image within 12 px of its marks."""
    return detections(near(marks, found, 12), score, len(marks))


def main(sides_px: tuple[int, ...] = SIDES_PX) -> None:
    for side_px in sides_px:
        truth = nuclei(side_px, 1)
        pred = np.roll(truth, 2, 1)
        overlaps = match(truth, pred)
        named = {int(i): CLASSES[i % len(CLASSES)] for i in overlaps.truth_ids}
        work: dict[str, Callable[[], object]] = {
            "match + PQ": lambda a=truth, b=pred: panoptic_quality(match(a, b)),
            "PQ per class": lambda o=overlaps, n=named: panoptic_quality_per_class(o, n, n, CLASSES),
            "AJI": lambda o=overlaps: aji(o),
            "object F1 and Dice": lambda o=overlaps: (object_f1(o), object_dice(o)),
        }
        for name, call in work.items():
            print(
                f"{side_px:5d} px {len(overlaps.truth_ids):7d} nuclei  {name:20s} {median_ms(call):8.1f} ms"
            )
    truth, pred = nuclei(1000, 1), np.roll(nuclei(1000, 2), 5, 0)
    print(f"object Hausdorff, 1000 px      {median_ms(lambda: object_hausdorff(truth, pred), 1):8.1f} ms")
    marks, found = detected(3, 100_000)
    score = np.random.default_rng(4).random(len(found))
    print(f"100,000 marks: pairs, hits     {median_ms(lambda: hits(marks, found, score), 1):8.1f} ms")
    images = [hits(marks[i::50], found[i::50], score[i::50]) for i in range(50)]
    interval = median_ms(lambda: froc_interval(images, range(50), 0, resamples=100), 1)
    print(f"FROC of 100,000 detections     {median_ms(lambda: froc(images), 3):8.1f} ms")
    print(f"its interval, 100 resamples    {interval:8.1f} ms")


if __name__ == "__main__":
    main(tuple(int(arg) for arg in sys.argv[1:]) or SIDES_PX)
