"""Procedural H&E colon slides with exact truth."""

from histocerb.slides.synth.config import TISSUES, SynthConfig
from histocerb.slides.synth.slide import VERSION, SynthSlide, SynthTruth

__all__ = ["TISSUES", "VERSION", "SynthConfig", "SynthSlide", "SynthTruth"]
