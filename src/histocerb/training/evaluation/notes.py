"""What a reader of a report must know, in words."""

from __future__ import annotations

OVERVIEW = """
Over all sources. Means over images with bootstrap 95 % intervals over patients in brackets; mPQ+, mAP, mF1
and accuracy are of all images together.
"""

FIGURES = """
PQ, DQ, SQ: a pair of objects matches above an IoU of 0.5. mPQ averages over the images whose truth has a
class, mPQ+ adds up the counts of all images first. Object F1, Dice and Hausdorff are those of the GlaS
challenge, pooled over images. FROC score: mean sensitivity at 1/4, 1/2, 1, 2, 4 and 8 false positives
per image, by the score of objects; an outline is hit when the centre of what was found lies in its
bounding box, a marked centre within 3 um. Class accuracy, mF1, mAP and calibration are of objects that
match; where a data set does not tell some classes apart, they are judged as one.
"""

INTERVALS = """
Intervals come from drawing patients anew, and then images of each. The {images:,} images are of
{patients:,} patients, those of a task often of fewer; below ten patients intervals mean little and are mostly
too narrow, and of one there is none. Where a data set does not say whom its images are of, each counts as a
patient.
"""

COLOURS = """
Pictures: blue are found objects that match the truth, yellow objects of the truth that were missed,
orange found objects without a match.
"""

INFINITE = """
{source}: the object Hausdorff distance is infinite in {images:,} images, where either the truth or what
was found is empty; they are left out of its figure.
"""

PAIRED = """
Both models saw the same images. The difference is second minus first, mean over the images on which both
have the figure; images on which only one has it, or on which a distance is infinite, are left out:
so is an image without objects where one model rightly finds none, whatever the other invents there. The
interval of a difference is a bootstrap over patients, its p that of a two-sided Wilcoxon signed-rank test
on the mean differences of patients.
"""

MANY_TESTS = """
{tests:,} figures were tested. With many tests some p fall below 0.05 by chance alone; p (Holm) is
adjusted for that, and the last column goes by it; it names no model where the mean over images favours one
and the ranks of patients the other. The figures depend on each other (PQ is DQ times SQ),
which makes the adjustment strict; differences per source are shown without tests. Below six patients no p
can be below 0.05. Where a data set does not say whom its images are of, each counts as a patient, which makes
all of it too sure. "not shown" does not mean that the models are equal,
and training anew with another seed moves the figures, too.
"""


def text(note: str) -> str:
    """A note on one line."""
    return " ".join(note.split())
