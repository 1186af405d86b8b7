"""VAE of molecules as SMILES: a latent space of drug-like compounds.

Gomez-Bombarelli et al., 2018, doi:10.1021/acscentsci.7b00572, with the recurrent networks of the
VAE of MOSES (Polykovskiy et al., 2020, arXiv:1811.12823). Its metrics need RDKit: pip install
'vae_jax[molecules]'.

python -m vae_jax.main --config=configs/molecule_vae.py
    500 embedded molecules, too few for valid samples: 35 % are valid, test ELBO -65.2 +- 2.4 nats,
    rate 38.8 at beta = 0.05 (seed 0); 2 min on 2 CPU cores

python -m vae_jax.main --config=configs/molecule_vae.py:text --config.data.path=mine.smi
    your own file of SMILES, modeled as SELFIES, with settings for the size of ZINC 250k;
    config.data.split_path names a file with its split. ZINC (seed 0): 76 % of test molecules are
    reconstructed exactly, 56 of 56 latents are active at beta = 0.05, rate 70.3 nats; samples are
    molecules by construction, 99.9 % of them different. docs/molecules.md has the control beside it

python -m vae_jax.main --config=configs/molecule_vae.py:text --config.data.path=mine.smi
    --config.train.batch_size=64 --config.train.num_steps=2000 --config.objective.beta_steps=200
    a file of a few hundred lines; read its numbers with care

python -m vae_jax.main --config=configs/molecule_vae.py:molecules_control
    the same decoder without latents, a language model: the numbers of the VAE stand beside its; 82
    % of samples are valid, of which 27 % are new, log p(x) -41.1 +- 2.2 nats; 80 s

python -m vae_jax.main --config=configs/molecule_vae.py:molecules_collapsed
    without the cure of collapse, which is a weight of the rate that grows from 0 to less than 1:
    the rate falls to zero

The weight is in nats per molecule. The 0.05 of MOSES multiplies the same rate, but beside a mean
over tokens instead of their sum: with about 36 tokens a molecule it is a weight of 1.8 here.
"""

from vae_jax.config import Config
from vae_jax.errors import check_choice

BETAS = {"vae": (0.0, 0.05), "collapsed": (1.0, 1.0)}  # first and last weight of the rate


def get_config(variant: str = "molecules") -> Config:
    """The config for 'molecules' or 'text', alone or with '_control' or '_collapsed'."""
    data, _, kind = variant.partition("_")
    kind = check_choice("variant of the config", kind or "vae", (*BETAS, "control"))
    config = Config(name=f"molecule_{kind}" + ("" if data == "molecules" else f"_{data}"))
    config.data.name = data
    config.data.alphabet = "smiles"
    config.optimizer.schedule = "cosine"
    config.optimizer.clip_norm = 5.0
    config.optimizer.learning_rate = 2e-3
    config.train.order = "by_length"
    config.evaluation.metrics = ("sequences", "molecules")
    if data == "molecules":
        config.model.decoder_width = 128
    else:  # 7 epochs of ZINC 250k
        config.data.alphabet = "selfies"
        config.train.num_steps, config.train.batch_size = 6_000, 256
        config.train.log_every = 50
    if kind == "control":
        config.model.kind = "language_model"
        return config
    config.model.latent_dim = 64
    if data == "molecules":
        config.model.encoder_width = 64
    if data == "text":  # at a weight of 0.05 the codes are far from N(0, I)
        config.model.latent_dim, config.model.prior = 56, "coupling"
        config.model.prior_flows, config.model.prior_width = 8, 256
    config.objective.beta_schedule = "linear"
    config.objective.beta_start, config.objective.beta = BETAS[kind]
    config.objective.beta_steps = config.train.num_steps // 10
    return config
