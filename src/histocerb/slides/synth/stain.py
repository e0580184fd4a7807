"""From concentrations of stain to the pixels of a scanner."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from histocerb.slides.pixels import Rgb8
from histocerb.slides.synth.config import Appearance
from histocerb.slides.synth.layout import Ints
from histocerb.slides.synth.noise import Floats, compiled, lattice_memory, smooth, uniform


@compiled
def _density(
    stains: npt.NDArray[np.float32], vectors: Floats, mottle: float, seed: int, origin: Ints, scale: float
) -> npt.NDArray[np.float32]:
    """Minus the optical density, H x W x 3. Both stains are uneven, the section's thickness varies slowly."""
    height, width = stains.shape[:2]
    out = np.empty((height, width, 3), np.float32)
    memory = lattice_memory(6)
    for r in range(height):
        for c in range(width):
            x, y = (origin[0] + c) * scale, (origin[1] + r) * scale
            if stains[r, c, 0] + stains[r, c, 1] + stains[r, c, 2] == 0.0:
                out[r, c] = 0.0
                continue
            u, v = 0.8 * x - 0.6 * y, 0.6 * x + 0.8 * y
            fine = smooth(memory[0], seed + 92, x / 2.4, y / 2.4)
            middle = smooth(memory[1], seed + 93, u / 5.3, v / 5.3)
            broad = smooth(memory[2], seed + 94, x / 14.0, y / 14.0)
            other = smooth(memory[3], seed + 95, u / 3.6, v / 3.6) + smooth(
                memory[4], seed + 96, u / 10.0, v / 10.0
            )
            thick = 1.0 + 0.14 * smooth(memory[5], seed + 91, x / 420.0, y / 420.0)
            haem = max(0.0, 1.0 + mottle * (fine + middle + broad)) * thick * stains[r, c, 0]
            eosin = max(0.0, 1.0 + mottle * (fine + 1.3 * other)) * thick * stains[r, c, 1]
            for k in range(3):
                red = thick * stains[r, c, 2] * vectors[2, k]
                out[r, c, k] = -(haem * vectors[0, k] + eosin * vectors[1, k] + red)
    return out


@compiled
def _focus(
    seed: int, share: float, origin: Ints, shape: tuple[int, int], scale: float
) -> npt.NDArray[np.float32]:
    """How far each pixel is out of focus, 0..1."""
    out = np.empty(shape, np.float32)
    memory = lattice_memory(1)
    for r in range(shape[0]):
        for c in range(shape[1]):
            x, y = (origin[0] + c) * scale, (origin[1] + r) * scale
            level = 0.5 + 0.5 * smooth(memory[0], seed + 97, x / 520.0, y / 520.0)
            out[r, c] = min(1.0, max(0.0, (level - 1.0 + share * 1.6) * 6.0))
    return out


@compiled
def _grain(light: npt.NDArray[np.float32], seed: int, sd: float, origin: Ints) -> Rgb8:
    """Add sensor noise (triangular, by absolute pixel) and round."""
    height, width = light.shape[:2]
    out = np.empty((height, width, 3), np.uint8)
    for r in range(height):
        for c in range(width):
            for k in range(3):
                x = (origin[0] + c) * 3 + k
                u = uniform(seed + 98, x, origin[1] + r) + uniform(seed + 99, x, origin[1] + r) - 1.0
                out[r, c, k] = int(min(255.0, max(0.0, light[r, c, k] + 2.449 * sd * u + 0.5)))
    return out


def scan(
    stains: npt.NDArray[np.float32],
    look: Appearance,
    seed: int,
    origin: tuple[int, int],
    scale: float,
    margin: int,
) -> Rgb8:
    """Image of a canvas without its margin.

    Args:
        stains: H x W x 3 concentrations.
        look: stain and scanner.
        seed: of the slide.
        origin: slide pixel of the canvas' corner.
        scale: world pixels (0.5 um) per slide pixel.
        margin: pixels to cut off on each side after blurring; at least four sigma.
    """
    corner = np.array(origin)
    light = np.exp(_density(stains, np.array(look.stains), look.mottle, seed, corner, scale))
    light *= np.array(look.glass, dtype=np.float32) * np.float32(255)
    sharp = cv2.GaussianBlur(light, (0, 0), look.blur_px / scale)
    if look.defocus_share > 0:
        soft = cv2.GaussianBlur(light, (0, 0), look.defocus_px / scale)
        share = _focus(seed, look.defocus_share, corner, light.shape[:2], scale)[..., None]
        sharp = sharp + share * (soft - sharp)
    inner = np.ascontiguousarray(sharp[margin:-margin, margin:-margin])
    image = _grain(inner, seed, look.grain, corner + margin)
    return _jpeg(image, look.jpeg_quality) if look.jpeg_quality else image


def _jpeg(image: Rgb8, quality: int) -> Rgb8:
    done, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert done
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.ascontiguousarray(decoded[..., ::-1]).astype(np.uint8, copy=False)
