"""Figures of a trained model: functions return matplotlib figures, `plot_all` writes files."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vae_jax.visualize.all_figures import plot_all
    from vae_jax.visualize.charts import (
        CURVES,
        bars,
        histogram,
        learning_curve,
        learning_curves,
        overlaid_curves,
    )
    from vae_jax.visualize.code_map import latent_map
    from vae_jax.visualize.factors import match_factors
    from vae_jax.visualize.files import DPI, save, svg
    from vae_jax.visualize.grids import Groups, image_rows
    from vae_jax.visualize.image_grids import reconstructions, samples
    from vae_jax.visualize.later import Start, when_needed
    from vae_jax.visualize.path_grids import interpolations, traversals
    from vae_jax.visualize.projections import PROJECTIONS, has_umap, principal_plane, project
    from vae_jax.visualize.rate_distortion_plane import rate_distortion
    from vae_jax.visualize.tables.associations import associations
    from vae_jax.visualize.tables.histograms import column_histograms
    from vae_jax.visualize.tables.latents import latent_columns
    from vae_jax.visualize.tables.scatter import column_reconstructions
    from vae_jax.visualize.text import text_paths, text_reconstructions, text_samples

__all__ = [
    "CURVES",
    "DPI",
    "PROJECTIONS",
    "Groups",
    "Start",
    "associations",
    "bars",
    "column_histograms",
    "column_reconstructions",
    "has_umap",
    "histogram",
    "image_rows",
    "interpolations",
    "latent_columns",
    "latent_map",
    "learning_curve",
    "learning_curves",
    "match_factors",
    "overlaid_curves",
    "plot_all",
    "principal_plane",
    "project",
    "rate_distortion",
    "reconstructions",
    "samples",
    "save",
    "svg",
    "text_paths",
    "text_reconstructions",
    "text_samples",
    "traversals",
    "when_needed",
]

_MODULES = {  # imported on first use: they load matplotlib
    "all_figures": ("plot_all",),
    "factors": ("match_factors",),
    "files": ("DPI", "save", "svg"),
    "grids": ("Groups", "image_rows"),
    "image_grids": ("reconstructions", "samples"),
    "path_grids": ("interpolations", "traversals"),
    "code_map": ("latent_map",),
    "later": ("Start", "when_needed"),
    "projections": ("PROJECTIONS", "has_umap", "principal_plane", "project"),
    "rate_distortion_plane": ("rate_distortion",),
    "tables.associations": ("associations",),
    "tables.histograms": ("column_histograms",),
    "tables.latents": ("latent_columns",),
    "tables.scatter": ("column_reconstructions",),
    "text": ("text_paths", "text_reconstructions", "text_samples"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_HOMES.get(name, 'charts')}")
    return globals().setdefault(name, getattr(module, name))


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
