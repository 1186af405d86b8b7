"""The fields of a config that select the parts of a model and their sizes."""

import dataclasses

from vae_jax.config.metadata import AUTO, field
from vae_jax.config.rules import none_of, one_of

FLOW_POSTERIOR = one_of("model.posterior", "planar", "iaf", "sylvester")
GUMBEL_SOFTMAX = one_of("model.posterior", "gumbel_softmax")
FLOW_PRIOR = one_of("model.prior", "coupling", "autoregressive")
SIGMA_LIKELIHOODS = ("gaussian", "laplace")
DISCRETE_LIKELIHOODS = (
    "discretized_logistic",
    "logistic_mixture",
    "categorical",
    "beta_binomial",
    "autoregressive",
)
SIGMA = one_of("model.likelihood", *SIGMA_LIKELIHOODS, AUTO)
DISCRETE = one_of("model.likelihood", *DISCRETE_LIKELIHOODS, AUTO)
AUTOREGRESSIVE = one_of("model.likelihood", "autoregressive")
CONDITIONAL = none_of("model.conditioning", "none")
VQ = one_of("model.kind", "vq")
CODEBOOK = VQ & one_of("codes.quantizer", "vq")
PIXELCNN = one_of("codes.prior", "pixelcnn")
HIERARCHICAL = one_of("model.kind", "hierarchical")


@dataclasses.dataclass
class Model:
    """The parts of the model."""

    kind: str = field(
        "vae", doc="vae, vq (codes from a codebook, see `Codes`), hierarchical (see `Hierarchy`)"
    )
    network: str = field(
        AUTO,
        doc="encoder and decoder: mlp, conv, burgess, resnet (vq only); auto: conv or resnet for "
        "images, mlp for tables, digits and MNIST",
    )
    hidden: tuple[int, ...] = field(
        (400,), at_least=1, doc="dense widths in encoder order; the decoder reverses them"
    )
    channels: tuple[int, ...] = field((32, 64), at_least=1, doc="conv, resnet: in encoder order")
    activation: str = field("relu", doc="relu, gelu, silu, tanh")
    dtype: str = field(
        "float32",
        doc="float32, bfloat16: compute dtype of networks; parameters and densities are float32",
    )
    latent_dim: int = field(
        10,
        at_least=1,
        used_by=one_of("model.kind", "vae"),
        doc="D; gumbel_softmax: number of categorical variables",
    )
    conditioning: str = field(
        "none", doc="none, label (y one of num_classes), vector (y of num_classes entries)"
    )
    num_classes: int = field(10, at_least=1, used_by=CONDITIONAL, doc="classes, or entries of y")
    condition_prior: bool = field(
        False, used_by=CONDITIONAL, doc="condition the prior on y, beside encoder and decoder"
    )
    posterior: str = field(
        "diag_gaussian",
        doc="diag_gaussian, full_gaussian, planar, iaf, sylvester, gumbel_softmax, deterministic",
    )
    posterior_scale: str = field(
        "bounded",
        used_by=one_of("model.posterior", "diag_gaussian"),
        doc="bounded, softplus: how the log-variance of diag_gaussian stays finite",
    )
    posterior_flows: int = field(4, at_least=1, used_by=FLOW_POSTERIOR, doc="number of flows")
    posterior_width: int = field(
        64,
        at_least=1,
        used_by=one_of("model.posterior", "iaf", "sylvester"),
        doc="iaf: width of the networks; sylvester: maximum number of orthogonal vectors",
    )
    categories: int = field(
        10, at_least=2, used_by=GUMBEL_SOFTMAX, doc="categories of each variable of gumbel_softmax"
    )
    temperature: float = field(
        0.5, above=0, used_by=GUMBEL_SOFTMAX, sweep=True, doc="temperature of gumbel_softmax"
    )
    prior: str = field(
        "standard_normal",
        doc="standard_normal, diag_gaussian, mixture, vamp, coupling, autoregressive, uniform",
    )
    prior_components: int = field(
        100,
        at_least=1,
        used_by=one_of("model.prior", "mixture", "vamp"),
        doc="components of mixture and vamp",
    )
    prior_flows: int = field(
        4, at_least=1, used_by=FLOW_PRIOR, doc="flows of coupling and autoregressive"
    )
    prior_width: int = field(64, at_least=1, used_by=FLOW_PRIOR, doc="width of their networks")
    likelihood: str = field(
        AUTO,
        doc="see LIKELIHOODS in vae_jax/experiment/builders/parts.py; auto: by the kind of values, "
        "see auto.py there",
    )
    sigma: str = field(
        AUTO,
        used_by=SIGMA,
        former="fixed",
        doc="fixed, scalar, channel, pixel (learned), predicted (by the decoder); auto: channel if "
        "likelihood is auto too, else fixed",
    )
    init_sigma: float = field(
        0.5,
        above=0,
        used_by=SIGMA & none_of("model.sigma", "predicted"),
        sweep=True,
        doc="value of a fixed sigma, initial value of a learned one; in standard deviations of "
        "the data for tables",
    )
    levels: int = field(
        0,
        at_least=0,
        used_by=DISCRETE,
        former=256,
        doc="discrete values, equally spaced from 0 to 1; 0: as many as the data have",
    )
    mixtures: int = field(
        5,
        at_least=1,
        used_by=one_of("model.likelihood", "logistic_mixture"),
        doc="components of logistic_mixture",
    )
    columns: tuple[str, ...] = field(
        (), used_by=one_of("model.likelihood", "mixed", AUTO), doc="type of each column of a table"
    )
    masked_features: int = field(
        32, at_least=1, used_by=AUTOREGRESSIVE, doc="features of the masked convolutions"
    )
    masked_layers: int = field(
        4, at_least=1, used_by=AUTOREGRESSIVE, doc="number of masked convolutions"
    )


@dataclasses.dataclass
class Codes:
    """The discrete codes of a model of kind vq."""

    quantizer: str = field("vq", used_by=VQ, doc="vq (a codebook), fsq (rounding to a grid)")
    grid: tuple[int, ...] = field(
        (4,),
        at_least=1,
        used_by=VQ & none_of("model.network", "resnet"),
        doc="shape of the codes; resnet: that of its feature map",
    )
    num_codes: int = field(512, at_least=2, used_by=CODEBOOK, doc="size of the codebook")
    code_dim: int = field(64, at_least=1, used_by=CODEBOOK, doc="dimension of each code vector")
    levels: tuple[int, ...] = field(
        (8, 5, 5, 5),
        at_least=2,
        used_by=VQ & one_of("codes.quantizer", "fsq"),
        doc="levels of each dimension",
    )
    ema: bool = field(
        True,
        used_by=CODEBOOK,
        doc="update the codebook by moving averages of its inputs instead of a gradient",
    )
    decay: float = field(
        0.99, at_least=0, at_most=1 - 1e-7, used_by=CODEBOOK, doc="decay of those averages"
    )
    revive_below: float = field(
        0.1,
        at_least=0,
        used_by=CODEBOOK,
        doc="replace codes used less than this fraction of uniform usage; 0: off",
    )
    prior: str = field(
        "uniform", used_by=VQ, doc="uniform, pixelcnn (trained in the last prior_steps)"
    )
    prior_steps: int = field(
        0,
        at_least=0,
        used_by=PIXELCNN,
        doc="last steps of train.num_steps; they train only the prior, the rest is frozen",
    )
    prior_features: int = field(64, at_least=1, used_by=PIXELCNN, doc="features of pixelcnn")
    prior_layers: int = field(4, at_least=1, used_by=PIXELCNN, doc="layers of pixelcnn")


@dataclasses.dataclass
class Hierarchy:
    """The stochastic layers of a model of kind hierarchical, from the top down."""

    stack: str = field(
        "",
        used_by=HIERARCHICAL & one_of("model.network", "conv", AUTO),
        doc='conv: resolution x layers, "1x1 4x2 8x2"; empty: the top, and the largest maps',
    )
    latents: tuple[int, ...] = field(
        (10, 20),
        at_least=1,
        used_by=HIERARCHICAL,
        doc="mlp: size of each z; conv: channels of each z, one for all or one per stack entry",
    )
    widths: tuple[int, ...] = field(
        (64, 128),
        at_least=1,
        used_by=HIERARCHICAL,
        doc="width of the deterministic state beside each z, likewise",
    )
    blocks: int = field(1, at_least=1, used_by=HIERARCHICAL, doc="residual blocks after each layer")
    merge: str = field(
        "learned",
        used_by=HIERARCHICAL,
        doc="learned, precision (-weighted, as in the ladder VAE): posterior of features and prior",
    )
    remat: bool = field(
        False,
        used_by=HIERARCHICAL,
        doc="recompute activations in the backward pass, to save memory",
    )
