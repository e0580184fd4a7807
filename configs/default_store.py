"""The store that `configs/default.toml` trains on, made in one command.

    python configs/default_store.py DATA stores/default

DATA holds `glas` (the GlaS training images) and `consep-train` (the CoNSeP training images) as published.
"""

from __future__ import annotations

import sys
from pathlib import Path

from histocerb.data.convert import convert
from histocerb.data.sources import SOURCES
from histocerb.data.sources.synth import synth, synth_tissue


def main(data: Path, out: Path) -> None:
    """Convert the real sources, then draw the synthetic ones."""
    convert(SOURCES["glas"](data / "glas"), out)
    convert(SOURCES["consep"](data / "consep-train"), out)
    convert(synth(64, 1024, seed=1000), out)
    convert(synth_tissue(64, seed=5000, per_slide=12), out)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
