"""Small slides of every kind."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))  # for dicom_heads

APERIO = "Aperio Image Library v11.2.1\n701x530 (128x128) JPEG/RGB Q=80|AppMag = 20|MPP = 0.5"
MPP = 0.5
PER_CM = (20000, 20000)


@pytest.fixture(scope="session")
def picture() -> np.ndarray:
    """530 x 701 RGB: smooth blobs with noise, so that lossy files stay near it."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (12, 15, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((701, 530), Image.Resampling.BICUBIC)).astype(int)
    return np.clip(smooth + rng.integers(-20, 20, smooth.shape), 0, 255).astype(np.uint8)


def write_pyramid(path: Path, image: np.ndarray, description: str | None = None, **options: object) -> Path:
    with tifffile.TiffWriter(path) as writer:
        for step in (1, 2, 4):
            height, width = image.shape[0] // step * step, image.shape[1] // step * step
            blocks = image[:height, :width].reshape(height // step, step, width // step, step, 3)
            writer.write(
                blocks.mean(axis=(1, 3)).astype(np.uint8),
                tile=(128, 128),
                photometric="rgb",
                description=description if step == 1 else None,
                metadata=None,
                resolution=PER_CM,
                resolutionunit="CENTIMETER",
                subfiletype=int(step > 1),
                **options,
            )
    return path


@pytest.fixture(scope="session")
def slide_files(tmp_path_factory: pytest.TempPathFactory, picture: np.ndarray) -> dict[str, Path]:
    """One file per backend and layout, all of `picture` at 0.5 um/px (plain images without mpp)."""
    folder = tmp_path_factory.mktemp("slides")
    files = {
        "svs": write_pyramid(folder / "a.svs", picture, APERIO, compression="jpeg"),
        "pyramid": write_pyramid(folder / "a.tif", picture, compression="deflate"),
        "ome": folder / "a.ome.tif",
        "strips": folder / "strips.tif",
        "flat": folder / "flat.tif",
        "separate": folder / "separate.tif",
        "png": folder / "a.png",
        "jpeg": folder / "a.jpg",
    }
    rgb = {"photometric": "rgb", "resolution": PER_CM, "resolutionunit": "CENTIMETER", "metadata": None}
    tifffile.imwrite(files["strips"], picture, compression="lzw", rowsperstrip=7, predictor=True, **rgb)
    tifffile.imwrite(files["flat"], picture, **rgb)
    planes = np.ascontiguousarray(np.moveaxis(picture, 2, 0))
    tifffile.imwrite(files["separate"], planes, planarconfig="separate", tile=(64, 64), **rgb)
    with tifffile.TiffWriter(files["ome"], ome=True) as writer:
        size = {"PhysicalSizeX": 500, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.5, "axes": "YXS"}
        writer.write(picture, tile=(64, 64), subifds=1, photometric="rgb", metadata=size)
        writer.write(picture[:530:2, :700:2].copy(), tile=(64, 64), subfiletype=1, photometric="rgb")
    Image.fromarray(picture).save(files["png"])
    Image.fromarray(picture).save(files["jpeg"], quality=95)
    return files


@pytest.fixture(scope="session")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path, int], Path]:
    """Copy a tiled TIFF and break the middle of one JPEG tile of its first page."""

    def damage(path: Path, tile: int) -> Path:
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            offset, size = page.dataoffsets[tile], page.databytecounts[tile]
        data = bytearray(path.read_bytes())
        data[offset : offset + size] = bytes(size)
        broken = tmp_path_factory.mktemp("damaged") / path.name
        broken.write_bytes(data)
        return broken

    return damage
