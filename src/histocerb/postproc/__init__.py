"""From head maps to objects: of a whole image (`postprocess`) or of a slide in pieces (`blocks.Stitcher`)."""

from histocerb.postproc.instances import postprocess
from histocerb.postproc.maps import quantise

__all__ = ["postprocess", "quantise"]
