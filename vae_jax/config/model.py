"""The fields of a config that select the parts of a model and their sizes."""

import dataclasses
import functools

from vae_jax.config.metadata import AUTO, field
from vae_jax.config.rules import Condition, none_of, one_of

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
COUNT_LIKELIHOODS = ("negative_binomial", "poisson", "zero_inflated")
MASSES = (*DISCRETE_LIKELIHOODS, *COUNT_LIKELIHOODS)  # and bernoulli, of values that are binary
SIGMA = one_of("model.likelihood", *SIGMA_LIKELIHOODS, AUTO)
DISCRETE = one_of("model.likelihood", *DISCRETE_LIKELIHOODS, AUTO)
AUTOREGRESSIVE = one_of("model.likelihood", "autoregressive")
STUDENT_T = one_of("model.likelihood", "student_t")
TOKENS = one_of("model.likelihood", "tokens", AUTO)
SEQUENCE_NETWORKS = ("gru", "transformer")
SEQUENCE = one_of("model.network", *SEQUENCE_NETWORKS, AUTO)
TRANSFORMER = one_of("model.network", "transformer")
CONDITIONAL = none_of("model.conditioning", "none")
VQ = one_of("model.kind", "vq")
CODEBOOK = VQ & one_of("codes.quantizer", "vq")
PIXELCNN = one_of("codes.prior", "pixelcnn")
HIERARCHICAL = one_of("model.kind", "hierarchical")
LADDER = HIERARCHICAL & one_of("hierarchy.networks", "ladder")
STACKED = HIERARCHICAL & one_of("hierarchy.networks", "separate")
DENSE = Condition(
    "dense networks other than a ladder's",
    lambda config: STACKED.holds(config) or config.model.kind in ("vae", "vq"),
)

_flows = functools.partial(field, at_least=1, used_by=FLOW_PRIOR)
_masked = functools.partial(field, at_least=1, used_by=AUTOREGRESSIVE)
_sequence = functools.partial(field, at_least=1, used_by=SEQUENCE)
_pixelcnn = functools.partial(field, at_least=1, used_by=PIXELCNN)
_codebook = functools.partial(field, used_by=CODEBOOK)
_vq = functools.partial(field, used_by=VQ)
_hierarchical = functools.partial(field, used_by=HIERARCHICAL)
_ladder = functools.partial(field, used_by=LADDER)


@dataclasses.dataclass
class ModelConfig:
    """The parts of the model."""

    kind: str = field(
        "vae",
        "kind of model; vq: codes from a codebook, see `Codes`; hierarchical: see `Hierarchy`; "
        "language_model: the decoder of tokens alone, without latents",
    )
    network: str = field(
        AUTO,
        "encoder and decoder; resnet: vq only; auto: conv or resnet for images, mlp for tables, "
        "digits and MNIST, gru for text",
    )
    hidden: tuple[int, ...] = field(
        (400,), "dense widths in encoder order; the decoder reverses them", at_least=1
    )
    gated: bool = field(
        False,
        "gate each dense layer, instead of an activation: (A h + a) * sigmoid(B h + b)",
        used_by=DENSE & one_of("model.network", "mlp", AUTO),
    )
    channels: tuple[int, ...] = field(
        (32, 64), "conv, broadcast, resnet: in encoder order", at_least=1
    )
    mask_input: bool = field(
        False,
        "give the encoder the mask of the observed values too",
        used_by=one_of("data.missing", True),
    )
    activation: str = field("relu", "activation of the networks")
    dtype: str = field("float32", "compute dtype of networks; parameters and densities are float32")
    latent_dim: int = field(
        10,
        "D; gumbel_softmax: number of categorical variables",
        at_least=1,
        used_by=one_of("model.kind", "vae"),
    )
    conditioning: str = field(
        "none",
        "labels y; label: one of num_classes; vector: num_classes entries; size: a factor of the "
        "means of counts, and one of num_classes",
    )
    num_classes: int = field(10, "classes, or entries of y", at_least=1, used_by=CONDITIONAL)
    condition_prior: bool = field(
        False, "condition the prior on y, in addition to encoder and decoder", used_by=CONDITIONAL
    )
    posterior: str = field("diag_gaussian", "family of q(z | x)")
    posterior_scale: str = field(
        "bounded",
        "map that keeps the log-variance of diag_gaussian finite",
        used_by=one_of("model.posterior", "diag_gaussian"),
    )
    posterior_flows: int = field(4, "number of flows", at_least=1, used_by=FLOW_POSTERIOR)
    posterior_width: int = field(
        64,
        "iaf: width of the networks; sylvester: maximum number of orthogonal vectors",
        at_least=1,
        used_by=one_of("model.posterior", "iaf", "sylvester"),
    )
    categories: int = field(
        10, "categories of each variable of gumbel_softmax", at_least=2, used_by=GUMBEL_SOFTMAX
    )
    temperature: float = field(
        0.5, "temperature of gumbel_softmax", above=0, used_by=GUMBEL_SOFTMAX, sweep=True
    )
    prior: str = field(
        "standard_normal", "family of p(z); of the top layer with hierarchy.networks 'separate'"
    )
    prior_components: int = field(
        100,
        "components of mixture and vamp",
        at_least=1,
        used_by=one_of("model.prior", "mixture", "vamp"),
    )
    prior_flows: int = _flows(4, "flows of coupling and autoregressive")
    prior_width: int = _flows(64, "width of their networks")
    likelihood: str = field(AUTO, "family of p(x | z); auto: by the kind of the values")
    sigma: str = field(
        AUTO,
        "sigma of p(x | z); scalar, channel, pixel: learned; predicted: by the decoder; auto: "
        "channel if likelihood is auto too, else fixed",
        used_by=SIGMA,
        former="fixed",
    )
    init_sigma: float = field(
        0.5,
        "value of a fixed sigma, initial value of a learned one; in standard deviations of the "
        "data for tables",
        above=0,
        used_by=SIGMA & none_of("model.sigma", "predicted"),
        sweep=True,
    )
    df: str = field(
        "learned",
        "degrees of freedom of student_t; fixed: init_df; learned: one per entry; predicted: by "
        "the decoder",
        used_by=STUDENT_T,
    )
    init_df: float = field(
        5.0, "value of fixed degrees of freedom, else their start", above=0, used_by=STUDENT_T
    )
    levels: int = field(
        0,
        "discrete values, equally spaced from 0 to 1; 0: as in the data",
        at_least=0,
        used_by=DISCRETE,
        former=256,
    )
    mixtures: int = field(
        5,
        "components of logistic_mixture",
        at_least=1,
        used_by=one_of("model.likelihood", "logistic_mixture"),
    )
    columns: tuple[str, ...] = field(
        (), "type of each column of a table", used_by=one_of("model.likelihood", "mixed", AUTO)
    )
    masked_features: int = _masked(32, "features of the masked convolutions")
    masked_layers: int = _masked(4, "number of masked convolutions")
    num_tokens: int = field(
        0,
        "ids of tokens, padding and end among them; 0: as in the data",
        at_least=0,
        used_by=TOKENS,
    )
    token_features: int = _sequence(64, "features of the embedding of a token")
    encoder_width: int = _sequence(256, "gru, transformer: features of the encoder")
    decoder_width: int = _sequence(512, "gru, transformer: features of the decoder")
    sequence_layers: int = _sequence(1, "gru, transformer: layers of each")
    heads: int = field(4, "heads of attention", at_least=1, used_by=TRANSFORMER)


@dataclasses.dataclass
class Codes:
    """The discrete codes of a model of kind vq."""

    quantizer: str = _vq("vq", "kind of codes; vq: a codebook; fsq: rounding to a grid")
    grid: tuple[int, ...] = field(
        (4,),
        "shape of the codes; resnet: the shape of its feature map",
        at_least=1,
        used_by=VQ & none_of("model.network", "resnet"),
    )
    num_codes: int = _codebook(512, "size of the codebook", at_least=2)
    code_dim: int = _codebook(64, "dimension of each code vector", at_least=1)
    levels: tuple[int, ...] = field(
        (8, 5, 5, 5),
        "levels of each dimension",
        at_least=2,
        used_by=VQ & one_of("codes.quantizer", "fsq"),
    )
    ema: bool = _codebook(
        True, "update the codebook by moving averages of its inputs instead of a gradient"
    )
    decay: float = _codebook(0.99, "decay of those averages", at_least=0, at_most=1 - 1e-7)
    revive_below: float = _codebook(
        0.1,
        "replace codes used less than this fraction of uniform usage",
        at_least=0,
        at_most=1,
        off=0,
    )
    prior: str = _vq("uniform", "prior of the codes; pixelcnn: trained in the last prior_steps")
    prior_steps: int = field(
        0,
        "last steps of train.num_steps; they train only the prior, the rest is frozen",
        at_least=0,
        used_by=PIXELCNN,
    )
    prior_features: int = _pixelcnn(64, "features of pixelcnn")
    prior_layers: int = _pixelcnn(4, "layers of pixelcnn")


@dataclasses.dataclass
class Hierarchy:
    """The stochastic layers of a model of kind hierarchical, from the top down."""

    networks: str = _hierarchical(
        "ladder",
        "ladder: prior and posterior share a residual network; separate: dense layers of sizes "
        "model.hidden for each conditional, and model.prior for the top",
    )
    stack: str = field(
        "",
        'conv: resolution x layers, "1x1 4x2 8x2"; empty: the top, and the largest maps',
        used_by=LADDER & one_of("model.network", "conv", AUTO),
    )
    latents: tuple[int, ...] = _hierarchical(
        (10, 20),
        "mlp: size of each z; conv: channels of each z, a single number or one per stack entry",
        at_least=1,
    )
    widths: tuple[int, ...] = _ladder(
        (64, 128), "width of the deterministic state of each layer, likewise", at_least=1
    )
    blocks: int = _ladder(1, "residual blocks after each layer", at_least=1)
    merge: str = _ladder(
        "learned",
        "posterior of features and prior; precision: weighted by it, as in the ladder VAE",
    )
    remat: bool = _ladder(False, "recompute activations in the backward pass, to save memory")
