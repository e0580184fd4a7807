"""Procedural H&E colon slides with exact truth."""

from histocerb.slides.synth.config import TISSUES, SynthConfig
from histocerb.slides.synth.slide import SynthSlide, SynthTruth

__all__ = ["TISSUES", "SynthConfig", "SynthSlide", "SynthTruth"]
