"""Colours that are drawn together can be told apart without colour vision that is common."""

from itertools import combinations

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from histocerb.core.colours import CLASS_COLOURS
from histocerb.core.tasks import CERBERUS
from histocerb.web.changes import CHANGE_COLOURS

# Machado, Oliveira and Fernandes, IEEE Transactions on Visualization and Computer Graphics 15 (2009),
# severity 1.0, on linear RGB.
VISIONS = {
    "usual": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TOGETHER = {
    "nuclei": CERBERUS.task("nuclei").classes,
    "glands and lumina": (*CERBERUS.task("gland").classes, "lumen"),
    "tissue": CERBERUS.patch.classes[1:],
    "changes": tuple(CHANGE_COLOURS),
}
LEAST = {"nuclei": 15.0, "glands and lumina": 20.0, "tissue": 14.0, "changes": 14.0}
"""CIEDE2000 of the closest pair; 2.3 is just noticeable, areas side by side."""


def seen(rgb, vision):
    """CIELAB of a colour as someone with that vision sees it."""
    value = np.asarray(rgb) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    left = np.clip(VISIONS[vision] @ linear, 0, 1)
    return rgb2lab(np.where(left <= 0.0031308, left * 12.92, 1.055 * left ** (1 / 2.4) - 0.055))


def closest(names, vision):
    """The smallest distance between two of the colours, and whose it is."""
    shades = CLASS_COLOURS | {change.value: shade for change, shade in CHANGE_COLOURS.items()}
    lab = {str(name): seen(shades[name], vision) for name in names}
    return min((float(deltaE_ciede2000(lab[a], lab[b])), a, b) for a, b in combinations(lab, 2))


@pytest.mark.parametrize("group", TOGETHER)
@pytest.mark.parametrize("vision", VISIONS)
def test_colours_that_are_drawn_together_differ(group, vision):
    distance, one, other = closest(TOGETHER[group], vision)
    assert distance >= LEAST[group], f"{one} and {other}"


def test_the_measure_sees_what_is_known():
    """Red and green of equal lightness, far apart, meet in deuteranopia; blue and yellow do not."""
    red, green = (200, 60, 60), (95, 110, 50)
    usual = deltaE_ciede2000(seen(red, "usual"), seen(green, "usual"))
    assert deltaE_ciede2000(seen(red, "deuteranopia"), seen(green, "deuteranopia")) < usual / 3
    blue, yellow = (60, 60, 220), (220, 220, 60)
    assert deltaE_ciede2000(seen(blue, "deuteranopia"), seen(yellow, "deuteranopia")) > 50
    assert deltaE_ciede2000(seen((90, 90, 90), "tritanopia"), seen((90, 90, 90), "usual")) < 0.1
