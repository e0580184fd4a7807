"""Everything that histocerb raises on purpose.

HistocerbError            one sentence: what was expected, what was found, what to do
├── UsageError            a wrong argument, option or configuration value (exit status 2)
├── SlideError            a slide cannot be opened or read
│   ├── ResolutionError   its resolution is missing, anisotropic or absurd
│   └── CorruptSlideError pixels at a named place cannot be decoded
├── CheckpointError       a model file is not what it should be
├── DataError             a data set or store is incomplete or inconsistent
├── OutputError           results cannot be written or read back
└── InWorkError           another process works on the slide: nothing is wrong, nothing was done
"""

from __future__ import annotations


class HistocerbError(Exception):
    """Base of all errors that reach a user as one clear sentence."""


class UsageError(HistocerbError):
    """A wrong argument, option or configuration value."""


class SlideError(HistocerbError):
    """A slide cannot be opened or read."""


class ResolutionError(SlideError):
    """The resolution of a slide is missing, anisotropic or absurd."""


class CorruptSlideError(SlideError):
    """Pixels at a named place of a slide cannot be decoded."""


class CheckpointError(HistocerbError):
    """A model file is damaged, untrusted or of another network."""


class DataError(HistocerbError):
    """A data set or store is incomplete or inconsistent."""


class OutputError(HistocerbError):
    """Results cannot be written or read back."""


class InWorkError(HistocerbError):
    """Another process works on the slide, or took it over: it has not failed, and nothing was published."""
