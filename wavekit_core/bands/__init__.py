"""What a data set looks like in the bands of a wavelet transform, and what follows for diffusion in each of them.

`survey` passes over the images and gives a `Survey`: for the image, every approximation and every band the moments, the
spectrum, correlations, sparsity and the distance to Gaussians. `predictions` is what samplers lose on Gaussian data of these
spectra. `cells`, `verdicts` and `sections` say it in tables, in words and as parts of a page.

The claims that are looked at are those of S4, "Multi-scale Generative Modeling for Fast Sampling" (arXiv 2411.09356), Fig. 1, 5
and 6: that bands of different scale drown in noise at different times, that coarse approximations are closer to white Gaussian
noise, and that details are sparse.
"""

from wavekit_core.bands.predictions import Predicted, predictions
from wavekit_core.bands.subject import Subject, default_space, subject_of
from wavekit_core.bands.survey import Field, Survey, survey

__all__ = ["Field", "Predicted", "Subject", "Survey", "default_space", "predictions", "subject_of", "survey"]
