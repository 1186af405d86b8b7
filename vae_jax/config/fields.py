"""The fields of a config: dataclasses with every default. Strings name parts, which `vae_jax.experiment.builders` makes."""

import dataclasses


@dataclasses.dataclass
class Data:
    """Which examples, and how they are prepared."""

    name: str = "digits"  # sprites, digits, npz, or a name of tensorflow-datasets
    dir: str = ""  # where tensorflow-datasets finds or puts its files
    path: str = ""  # when name is npz: the .npz file, or a folder of .npy files
    values: str = (
        "scaled"  # scaled: integers 0 to 255 become [0, 1]; counts: whole numbers as they are
    )
    binarization: str = "none"  # none, static, dynamic, threshold
    valid_fraction: float = 0.1  # of train, where the source has no validation split
    leave_out: int = -1  # a class that all splits are without, for anomaly detection; -1: none
    num_labels: int = (
        0  # of training examples that keep their label, for semi-supervised models; 0: all
    )
    streaming: bool = False  # whether training images stay on disk or on the host, and come batch by batch; same numbers
    workers: int = 0  # of streaming: processes that read; 0: a thread does


@dataclasses.dataclass
class Model:
    """The parts of the model."""

    kind: str = (
        "vae"  # vae, vq (codes from a codebook, see `Codes`), hierarchical (see `Hierarchy`)
    )
    network: str = "mlp"  # mlp, conv, burgess, resnet (of vq): encoder and decoder
    hidden: tuple[int, ...] = (400,)  # dense widths, encoder order; the decoder's are reversed
    channels: tuple[int, ...] = (32, 64)  # of conv, encoder order
    activation: str = "relu"  # relu, gelu, silu, tanh
    dtype: str = "float32"  # float32, bfloat16: of the compute of networks; parameters and densities are float32 in both
    latent_dim: int = 10  # D; of gumbel_softmax, the number of categorical variables
    conditioning: str = (
        "none"  # none, label (y one of num_classes), vector (y of num_classes entries)
    )
    num_classes: int = 10
    condition_prior: bool = (
        False  # whether y is given to the prior too, and not only to encoder and decoder
    )
    posterior: str = "diag_gaussian"  # diag_gaussian, full_gaussian, planar, iaf, sylvester, gumbel_softmax, deterministic
    posterior_scale: str = (
        "bounded"  # bounded, softplus: how the log-variance of diag_gaussian is kept finite
    )
    posterior_flows: int = 4  # flows of planar, iaf, sylvester
    posterior_width: int = (
        64  # of the networks of iaf; of sylvester, at most so many orthogonal vectors
    )
    categories: int = 10  # of each variable of gumbel_softmax
    temperature: float = 0.5  # of gumbel_softmax
    prior: str = "standard_normal"  # standard_normal, diag_gaussian, mixture, vamp, coupling, autoregressive, uniform
    prior_components: int = 100  # of mixture and vamp
    prior_flows: int = 4  # of coupling and autoregressive
    prior_width: int = 64  # of their networks
    likelihood: str = "bernoulli"  # see LIKELIHOODS in vae_jax/experiment/builders/parts.py
    sigma: str = "fixed"  # of gaussian and laplace: fixed, scalar, channel, pixel (learned), predicted (by the decoder)
    init_sigma: float = 0.5  # the value of a fixed sigma, the first one of a learned one
    levels: int = 256  # of likelihoods of discrete values: so many, equally spaced from 0 to 1
    mixtures: int = 5  # components of logistic_mixture
    columns: tuple[str, ...] = ()  # of mixed: the type of each column of a table
    masked_features: int = 32  # of the masked convolutions of autoregressive
    masked_layers: int = 4


@dataclasses.dataclass
class Codes:
    """The discrete codes of a model of kind vq."""

    quantizer: str = "vq"  # vq (a codebook), fsq (rounding on a grid)
    grid: tuple[int, ...] = (
        4,
    )  # of networks that give a vector: so many codes; resnet has that of its features
    num_codes: int = 512  # of vq
    code_dim: int = 64  # of vq
    levels: tuple[int, ...] = (8, 5, 5, 5)  # of fsq
    ema: bool = True  # whether the codebook follows averages of what it codes, and not the gradient of its loss
    decay: float = 0.99  # of those averages
    revive_below: float = (
        0.1  # a code with less than this part of an equal share of use is replaced; 0 is off
    )
    prior: str = "uniform"  # uniform, pixelcnn (fitted in the last prior_steps)
    prior_steps: int = (
        0  # of train.num_steps, the last ones: they fit the prior to the codes and hold all else
    )
    prior_features: int = 64  # of pixelcnn
    prior_layers: int = 4


@dataclasses.dataclass
class Hierarchy:
    """The stochastic layers of a model of kind hierarchical, from the top down."""

    stack: str = ""  # of networks conv: resolution x layers, "1x1 4x2 8x2"
    latents: tuple[int, ...] = (
        10,
        20,
    )  # of network mlp: size of each z; of conv: channels of each z, one or one an entry
    widths: tuple[int, ...] = (64, 128)  # of the state beside each, likewise
    blocks: int = 1  # residual blocks after each layer
    remat: bool = (
        False  # whether activations are computed again in the backward pass, to save memory
    )


@dataclasses.dataclass
class Objective:
    """What is minimized."""

    name: str = "elbo"  # see OBJECTIVES in vae_jax/experiment/builders/loss.py
    num_samples: int = 1  # K, draws of z per example
    beta: float = 1.0  # of elbo: final weight of the rate
    beta_schedule: str = "constant"  # constant, linear, sigmoid, cyclical: from beta_start to beta
    beta_start: float = 0.0
    beta_steps: int = 0  # length of the schedule
    beta_cycles: int = 4  # of cyclical
    free_bits: float = 0.0  # nats per latent dimension, on the batch mean; 0 is off
    capacity: float = 0.0  # final C of beta |R - C|, nats; 0 is off
    capacity_steps: int = 0  # C grows linearly from 0 over these
    layer_free_bits: float = 0.0  # nats per layer of a hierarchy, likewise
    kl_balancing: float = (
        0.0  # from 0 to 1: balance of the layers of a hierarchy; falls to 0 over beta_steps
    )
    num_groups: int = (
        1  # of miwae and piwae: num_samples draws are so many groups of num_samples / num_groups
    )
    ciwae_weight: float = 0.5  # of the ELBO in ciwae
    renyi_alpha: float = 0.5
    mi_weight: float = 1.0  # of beta_tc: of the index-code mutual information
    tc_weight: float = 6.0  # of beta_tc and factor: of the total correlation
    dim_weight: float = 1.0  # of beta_tc: of the dimension-wise KL
    stratified: bool = True  # of beta_tc: stratified weights instead of weighted ones
    critic_hidden: tuple[int, ...] = (256, 256, 256)  # of factor
    dip_kind: int = 1  # of dip: I or II
    off_diagonal_weight: float = 10.0  # of dip
    diagonal_weight: float = 100.0
    info_alpha: float = 0.0  # of info: 1 - alpha weighs the rate
    mmd_weight: float = 10.0  # of info and wae
    kernel: str = "imq"  # imq, rbf: of the MMD, on a sum of scales
    commitment: float = 0.25  # of vq
    codebook_weight: float = 1.0  # of vq, without ema
    classifier_weight: float = 50.0  # of m2, on the cross-entropy of each labelled example
    corruption: str = (
        "none"  # none, gaussian, masking, salt_and_pepper: of the encoder's input, in training
    )
    corruption_level: float = 0.0  # standard deviation or rate


@dataclasses.dataclass
class Optimizer:
    """How it is minimized."""

    name: str = "adam"  # adam, adamw, adamax
    learning_rate: float = 1e-3
    schedule: str = "constant"  # constant, cosine (to 0), linear (to 0); after the warm-up
    warmup_steps: int = 0
    weight_decay: float = 0.0  # of adamw
    clip_norm: float = 0.0  # global norm of the gradient; 0 is off
    ema_decay: float = 0.0  # of the parameter average that evaluation uses; 0 is off
    critic_rate: float = (
        1e-4  # learning rate of the critic of objective factor, under Adam with b1 = 0.5, b2 = 0.9
    )


@dataclasses.dataclass
class Train:
    """For how long, and what is kept."""

    num_steps: int = 2_000
    batch_size: int = 128
    log_every: int = 100  # steps; also the number of steps in one compiled call
    eval_every: int = (
        1_000  # steps between evaluations on validation, each followed by a checkpoint
    )
    keep_checkpoints: int = 2  # newest ones, beside the best
    max_skipped_in_a_row: int = 50  # non-finite steps after which the run stops


@dataclasses.dataclass
class Evaluation:
    """How the final numbers are made."""

    batch_size: int = 256
    num_samples: int = 1  # K in the final evaluation
    seed: int = 0
    metrics: tuple[
        str, ...
    ] = ()  # beside the bound: see METRICS in vae_jax/experiment/metrics/registry.py
    likelihood_samples: int = 1_000  # K of each estimate of log p(x)
    annealed_examples: int = (
        32  # test examples of annealed importance sampling, and as many simulated ones
    )
    annealed_chains: int = 8
    annealed_temperatures: int = 400
    decomposition_samples: int = 2_000  # draws of the aggregate posterior
    gap_examples: int = 100  # test examples whose posterior is optimized
    gap_steps: int = 500
    population: int = (
        20_000  # examples whose codes disentanglement and representation take, at most
    )
    num_generated: int = (
        5_000  # of quality: samples, and test images that they are compared with, at most
    )
    features: str = ""  # of quality: the .npz of a feature network; empty: it is trained, and kept in the workdir
    feature_steps: int = 1_500  # of its training
    anomaly: str = (
        ""  # other data: an .npz file or a name as data.name; empty: the class data.leave_out
    )
    anomaly_examples: int = 2_000  # of each kind, at most
    anomaly_quantile: float = 0.95  # of validation scores, above which an example is flagged
    augmentation_examples: int = 1_000  # labelled ones that a classifier is trained on, at most
    augmentation_updates: int = 2_000
    compression_examples: int = 100  # test examples that are coded

    @property
    def metric_names(self) -> tuple[str, ...]:
        """Each of the metrics; on a command line they come as one string, "likelihood,gap"."""
        return tuple(name.strip() for entry in self.metrics for name in entry.split(","))


@dataclasses.dataclass
class Sweep:
    """Values of a hyper-parameter: one trial for every combination, all trained in one program. Empty lists are no sweep."""

    seed: tuple[int, ...] = ()
    beta: tuple[float, ...] = ()  # of objective, and so all down to commitment
    beta_start: tuple[float, ...] = ()
    beta_steps: tuple[int, ...] = ()
    beta_cycles: tuple[int, ...] = ()
    free_bits: tuple[float, ...] = ()
    layer_free_bits: tuple[float, ...] = ()
    kl_balancing: tuple[float, ...] = ()
    capacity: tuple[float, ...] = ()
    capacity_steps: tuple[int, ...] = ()
    corruption_level: tuple[float, ...] = ()
    ciwae_weight: tuple[float, ...] = ()
    renyi_alpha: tuple[float, ...] = ()
    mi_weight: tuple[float, ...] = ()
    tc_weight: tuple[float, ...] = ()
    dim_weight: tuple[float, ...] = ()
    off_diagonal_weight: tuple[float, ...] = ()
    diagonal_weight: tuple[float, ...] = ()
    info_alpha: tuple[float, ...] = ()
    mmd_weight: tuple[float, ...] = ()
    classifier_weight: tuple[float, ...] = ()
    codebook_weight: tuple[float, ...] = ()
    commitment: tuple[float, ...] = ()
    init_sigma: tuple[float, ...] = ()  # of model
    temperature: tuple[float, ...] = ()
    learning_rate: tuple[float, ...] = ()  # of optimizer, and so the next five
    warmup_steps: tuple[int, ...] = ()
    weight_decay: tuple[float, ...] = ()
    clip_norm: tuple[float, ...] = ()
    ema_decay: tuple[float, ...] = ()
    critic_rate: tuple[float, ...] = ()
    chunk: int = 0  # trials under one vmap at a time; 0: one on the CPU, all of a device elsewhere


@dataclasses.dataclass
class Config:
    """A run, or a sweep of runs."""

    name: str = "vae"
    seed: int = 0
    data: Data = dataclasses.field(default_factory=Data)
    model: Model = dataclasses.field(default_factory=Model)
    codes: Codes = dataclasses.field(default_factory=Codes)
    hierarchy: Hierarchy = dataclasses.field(default_factory=Hierarchy)
    objective: Objective = dataclasses.field(default_factory=Objective)
    optimizer: Optimizer = dataclasses.field(default_factory=Optimizer)
    train: Train = dataclasses.field(default_factory=Train)
    evaluation: Evaluation = dataclasses.field(default_factory=Evaluation)
    sweep: Sweep = dataclasses.field(default_factory=Sweep)
