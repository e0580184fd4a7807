"""How the glands of one patch of tissue look."""

from __future__ import annotations

from dataclasses import dataclass

from histocerb.slides.synth.noise import uniform


@dataclass(frozen=True)
class Habit:
    """How the glands of a patch look; world pixels.

    Attributes:
        height: of the epithelium.
        fullness: least share of a gland's depth that the epithelium takes.
        rows: of nuclei.
        long, wide: semi-axes of nuclei.
        spacing: between nuclei along the border.
        goblets: share of cells with a mucin vacuole.
        haem, eosin: of the cytoplasm.
        dark: of the chromatin.
        vesicle: how empty nuclei are in the middle.
        cleft: width of the empty space around the gland.
        content: 0 empty lumen, 1 mucus, 2 necrotic debris.
        holes: share of glands with several lumina (cribriform).
        solid: share of glands without lumen.
    """

    height: float
    fullness: float
    rows: int
    long: float
    wide: float
    spacing: float
    goblets: float
    haem: float
    eosin: float
    dark: float
    vesicle: float
    cleft: float
    content: int
    holes: float
    solid: float


def habit_of(site_seed: int, abnormal: bool) -> Habit:
    """Draw the habit shared by the glands of a patch."""
    u = [uniform(site_seed, k, 60) for k in range(14)]
    if not abnormal:
        return Habit(
            height=36.0 + 20.0 * u[0],
            fullness=0.50 + 0.34 * u[11],
            rows=1,
            long=6.6 + 1.4 * u[1],
            wide=4.3 + 0.9 * u[2],
            spacing=10.0 + 1.5 * u[3],
            goblets=0.15 + 0.85 * u[4],
            haem=0.20 + 0.16 * u[5],
            eosin=0.34 + 0.16 * u[6],
            dark=1.05 + 0.35 * u[7],
            vesicle=0.5 * u[8],
            cleft=max(0.0, 12.0 * u[9] - 5.0),
            content=0 if u[10] < 0.75 else 1,
            holes=0.0,
            solid=0.03,
        )
    slender = u[1] < 0.6  # pseudostratified: thin nuclei at all heights, packed; else large and round
    return Habit(
        height=28.0 + 32.0 * u[0],
        fullness=0.30,
        rows=2 + int(2.99 * u[9]) if slender else 1 + int(2.99 * u[9]),
        long=7.4 + 3.6 * u[2] if slender else 6.4 + 2.6 * u[2],
        wide=3.3 + 1.1 * u[3] if slender else 4.8 + 2.2 * u[3],
        spacing=7.0 + 2.0 * u[4] if slender else 10.5 + 3.5 * u[4],
        goblets=max(0.0, 0.5 * u[5] - 0.3),
        haem=0.24 + 0.34 * u[6],
        eosin=0.30 + 0.30 * u[7],
        dark=0.85 + 0.5 * u[8],
        vesicle=(0.4 if slender else 0.9) * u[13],
        cleft=max(0.0, 14.0 * u[10] - 5.0),
        content=2 if u[11] < 0.5 else int(2.0 * u[4]),
        holes=0.7 * max(0.0, u[12] - 0.3),
        solid=0.08 + 0.2 * u[12],
    )


def tallness(habit: Habit, deepest: float) -> float:
    """Height of the epithelium of a gland whose inmost pixel is `deepest` below its border."""
    return min(max(habit.height, habit.fullness * deepest), 0.86 * deepest)
