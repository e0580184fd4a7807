"""One colour per class, the same in pictures, exports and the viewer."""

from __future__ import annotations

Rgb = tuple[int, int, int]

CLASS_COLOURS: dict[str, Rgb] = {
    "neutrophil": (240, 228, 66),
    "epithelial": (0, 102, 167),
    "lymphocyte": (234, 82, 0),
    "plasma": (204, 121, 167),
    "eosinophil": (176, 0, 26),
    "connective": (0, 158, 115),
    "gland": (20, 90, 220),
    "surface-epithelium": (132, 37, 99),
    "lumen": (250, 250, 250),
    "background": (255, 255, 255),
    "abnormal-epithelium": (202, 0, 32),
    "normal-epithelium": (0, 177, 246),
    "inflammatory": (206, 128, 0),
    "muscle": (170, 68, 101),
    "stroma": (244, 165, 190),
    "debris": (119, 127, 138),
    "mucous": (17, 253, 243),
    "adipose": (250, 230, 120),
}

UNKNOWN_COLOUR: Rgb = (128, 128, 128)


def colour(class_name: str) -> Rgb:
    """RGB of a class; grey for one that has no colour of its own."""
    return CLASS_COLOURS.get(class_name, UNKNOWN_COLOUR)
