"""Speech as sequences: each recording becomes spectral features, frame by frame."""

from skrnn.audio.features import MFCC, LogMel

__all__ = ["MFCC", "LogMel"]
