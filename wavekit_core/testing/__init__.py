"""The laws that components hold to, for the tests of whoever writes one.

Three lines in a test file, one test a law:

    from wavekit_core.testing import transform_suite
    from wavekit_haar import Haar

    test_laws = transform_suite(Haar)

Arguments are mappings as in a recipe, as many as there are cases (components as `{"use": name, …}`), and each kind has its own
context:

    test_laws = transform_suite(Haar, {"levels": 3}, {"levels": 2, "norm": "mean"}, sources=[ImageSpace(3, 32, 32)])
    test_laws = regularizer_suite(GaussianKL, {"bands": "all"})                     # latents=[LatentSpace(…)]
    test_laws = generator_suite(WaveletVAE, {"regularizers": [{"use": "gaussian-kl"}]}, steps=60)    # spaces=[…]
    test_laws = sampler_suite(PosteriorFit)            # model=KnownModel(…) if it draws from neither autoencoders nor denoisers
    test_laws = tokenizer_suite(Bits)                  # a transform whose target is a TokenSpace

`laws_of(component)` gives the same laws as objects, without pytest. All are seeded, run on the CPU (`device` on CUDA too, where
there is one) and take seconds. A law without meaning for a component says so and is skipped.

==============================  ====================================================================================
any component
------------------------------  ------------------------------------------------------------------------------------
determinism                     the same seed and input give the same bytes
state                           a new component with the state of another does what that does
copies                          so do its deep copy and its pickled copy
no-tensor-is-read               the constructor works on the meta device, where tensors have sizes alone
recipe                          written as a recipe, resolved, read again and built, it is the same component
imports                         importing its module imports no plotting, measuring, testing, command or other plugin,
                                draws no random number and changes no setting of torch
transforms, tokenizers
------------------------------  ------------------------------------------------------------------------------------
declared-space                  what comes out is of the space that `target` declares, for batches of 0, 1 and 3
reconstruction                  `inverse` gives the batch back (not if `lossless = False`)
projection                      what is lost is lost once: forward ∘ inverse ∘ forward is forward; encode(decode(t)) is t
batches                         elements of a batch do not see each other
inputs-kept                     what is given is left as it was
no-randomness                   no random number is drawn
refusals                        what it cannot take is refused with a SpaceError and its reason, never otherwise
transforms
------------------------------  ------------------------------------------------------------------------------------
linearity                       a sum becomes the sum, up to a fixed offset (not if `linear = False`)
adjointness                     ⟨W x, y⟩ = ⟨x, Wᵀ y⟩ with the gradient as Wᵀ, for `forward` and `inverse`, if linear
energy                          that of the batch, where the space says `orthonormal` and the norm is `ortho`
gradients                       are those of finite differences
second-gradients                are those of finite differences
dtype                           is kept
device                          is kept: CPU, meta, CUDA
tokenizers
------------------------------  ------------------------------------------------------------------------------------
tokens                          are int64 of the declared length and vocabulary
prefixes                        all decode to elements of the source
distortion                      does not grow with longer prefixes, on the average
regularizers
------------------------------  ------------------------------------------------------------------------------------
penalty-shape                   (B,), finite, of the state's dtype
penalty-of-each                 images do not see each other; a shared noise scale counts wherever it is shared
nonnegative                     a divergence is never below 0
divergence                      is the KL divergence from the prior that `draw` draws from, estimated from its draws
gradients                       are those of finite differences
gradient-paths                  reach the state and all own parameters, and are finite at 0 and at extremes
draws                           have the shapes of `prior_bands()`, no gradient, and follow the seed
weight-outside                  the penalty is the same for any `weight`
refusals                        of latents that lack what it reads are SpaceErrors
generators
------------------------------  ------------------------------------------------------------------------------------
overfits-one-batch              each objective, trained alone on one batch by the real loop, falls by 5 % and more than chance
resumes-exactly                 stopped, saved, restored into a new generator: the same bytes, through the real engine
every-parameter-moves           that is trained, in a few steps
objectives-cover-parameters     each with `requires_grad` is in one objective, once
losses                          are one finite number, with terms of the same names in every call
samples                         are of the space, finite and within its range, with and without labels
seeds                           the same seed draws the same bytes, another others
sampling-changes-nothing        neither parameters nor buffers
reconstructions                 are of the space and finite
likelihood                      is one finite number an element
latent                          posterior and `decode` have the bands that the latent space names
denoising                       a denoiser is finite from its smallest to its largest noise, and near its input at the smallest
details                         of every level of its space are drawn by a detail generator, the same for the same seed
refusals                        of spaces are SpaceErrors; what is taken works
samplers
------------------------------  ------------------------------------------------------------------------------------
mean-and-covariance             of what is drawn from a model of Gaussian data are the data's, within 5 standard errors
classes                         that are asked for have their means
samples                         are of the model's space, finite and within its range
seeds                           the same seed draws the same bytes, another others
reconstructions                 are of the model's space and finite
fit-twice                       is fitting once
model-is-kept                   as it was, by fitting and drawing
refusals                        of models are sentences, and raise nothing
==============================  ====================================================================================

What a transform says of itself, as attributes of the class or the instance, true if it says nothing: `lossless`, `linear` (an
offset is allowed) and `differentiable`. A tokenizer is none of these.
"""

from wavekit_core.testing.known import KnownModel, linear_gaussian
from wavekit_core.testing.laws import Law, NotApplicable, laws_of
from wavekit_core.testing.suites import (
    generator_suite,
    regularizer_suite,
    sampler_suite,
    tokenizer_suite,
    transform_suite,
)

__all__ = [
    "KnownModel",
    "Law",
    "NotApplicable",
    "generator_suite",
    "laws_of",
    "linear_gaussian",
    "regularizer_suite",
    "sampler_suite",
    "tokenizer_suite",
    "transform_suite",
]
