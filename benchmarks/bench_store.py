"""Random 448 px crops with labels that a store gives per second, warm, to two threads.

The store is one of eight synthetic squares of 1024 px, or one of your own. A crop is copied with the ids of
all its tasks.

    python -m benchmarks.bench_store [--crops N] [STORE]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from histocerb.data.convert import Conversion, convert
from histocerb.data.sources.synth import synth
from histocerb.data.store import Store

CROP_PX = 448
THREADS = 2


def crop(store: Store, seed: int) -> int:
    """Copy one random crop and its labels; bytes copied."""
    rng = np.random.default_rng(seed)
    index = int(rng.integers(len(store)))
    record = store.records[index]
    row = int(rng.integers(max(1, record.height - CROP_PX + 1)))
    column = int(rng.integers(max(1, record.width - CROP_PX + 1)))
    part = np.s_[row : row + CROP_PX, column : column + CROP_PX]
    copied = store.image(index)[part].copy().nbytes
    return copied + sum(store.ids(index, label.task)[part].copy().nbytes for label in record.labels)


def measure(store: Store, crops: int) -> tuple[float, float]:
    """Crops and megabytes per second, the files being in memory already."""
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda seed: crop(store, seed), range(crops)))
        begin = time.perf_counter()
        copied = sum(pool.map(lambda seed: crop(store, seed), range(crops, 2 * crops)))
        seconds = time.perf_counter() - begin
    return crops / seconds, copied / seconds / 1e6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", nargs="?", type=Path, help="a store of your own instead")
    parser.add_argument("--crops", type=int, default=3000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Store(chosen.store) if chosen.store else convert(synth(8), Path(folder), Conversion("synth"))
        rate, megabytes = measure(store, chosen.crops)
        print(f"{len(store)} samples: {rate:,.0f} crops of {CROP_PX} px per second ({megabytes:,.0f} MB/s)")


if __name__ == "__main__":
    main()
