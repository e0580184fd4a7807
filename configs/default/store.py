"""The store that the default model is trained on, made in one command.

    python configs/default/store.py DATA stores/default

DATA holds `glas` (the GlaS training images) and `consep-train` (the CoNSeP training images) as published.
"""

from __future__ import annotations

import sys
from pathlib import Path

from histocerb.data.convert import Conversion, convert
from histocerb.data.sources import DATA_SETS
from histocerb.data.sources.entry import ReadOptions
from histocerb.data.sources.synth import NAME, TISSUE_NAME, synth, synth_tissue


def main(data: Path, out: Path) -> None:
    """Convert the real sources, then draw the synthetic ones."""
    for name, folder in (("glas", data / "glas"), ("consep", data / "consep-train")):
        found = DATA_SETS[name]
        convert(found.read(folder, ReadOptions()), out, Conversion(name, folder, found.licence, workers=2))
    convert(synth(64, 1024, seed=1000), out, Conversion(NAME, workers=2))
    convert(synth_tissue(150, seed=5000, per_slide=5), out, Conversion(TISSUE_NAME))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
