"""VAE of molecules as SMILES: a latent space of drug-like compounds.

Gomez-Bombarelli et al., 2018, doi:10.1021/acscentsci.7b00572, with the recurrent networks of the
VAE of MOSES (Polykovskiy et al., 2020, arXiv:1811.12823).

python -m vae_jax.main --config=configs/molecule_vae.py
    500 embedded molecules, too few for valid samples

python -m vae_jax.main --config=configs/molecule_vae.py:zinc --config.data.path=zinc.smi.gz
    a large file of SMILES, such as ZINC 250k; config.data.split_path names a file with its split

Either with `_control` after its name trains the same decoder without latents: a language model,
beside whose numbers those of the VAE stand.

The cure of collapse is a weight of the rate that grows from 0 to less than 1, as in MOSES; with
`--config.objective.beta=1 --config.objective.beta_schedule=constant` the rate falls to zero.
"""

from vae_jax.config import Config

CONTROL = "_control"


def get_config(data: str = "molecules") -> Config:
    """The config of a VAE of 'molecules' or 'zinc', or of its control, 'zinc_control'."""
    name = data.removesuffix(CONTROL)
    config = Config(name=f"molecule_{'language_model' if data != name else 'vae'}_{name}")
    config.data.name = "text" if name == "zinc" else name
    config.data.alphabet = "smiles"
    config.optimizer.schedule = "cosine"
    config.optimizer.clip_norm = 5.0
    config.optimizer.learning_rate = 2e-3
    if data == name:
        config.model.latent_dim = 64
        config.objective.beta_schedule = "linear"
        config.objective.beta = 0.05
        config.objective.beta_steps = config.train.num_steps // 10
    else:
        config.model.kind = "language_model"
    return config
