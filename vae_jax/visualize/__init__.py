"""Figures of a trained model: functions return matplotlib figures, `plot_all` writes PNG files."""

from vae_jax.visualize.all_figures import plot_all
from vae_jax.visualize.charts import (
    CURVES,
    bars,
    histogram,
    latent_map,
    learning_curve,
    learning_curves,
    overlaid_curves,
    principal_plane,
)
from vae_jax.visualize.factors import match_factors
from vae_jax.visualize.files import DPI, save, svg
from vae_jax.visualize.grids import image_rows
from vae_jax.visualize.image_grids import interpolations, reconstructions, samples, traversals
from vae_jax.visualize.rate_distortion_plane import rate_distortion

__all__ = [
    "CURVES",
    "DPI",
    "bars",
    "histogram",
    "image_rows",
    "interpolations",
    "latent_map",
    "learning_curve",
    "learning_curves",
    "match_factors",
    "overlaid_curves",
    "plot_all",
    "principal_plane",
    "rate_distortion",
    "reconstructions",
    "samples",
    "save",
    "svg",
    "traversals",
]
