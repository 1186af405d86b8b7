"""The report of a single run."""

import functools

from vae_jax.experiment.report import columns, figures, provenance, sections
from vae_jax.experiment.report.page import Maker, render_page
from vae_jax.experiment.report.workdir_files import Contents


def run_page(run: Contents) -> str:
    """The page of a run."""
    budget = figures.ImageBudget()
    makers: list[tuple[str, str, Maker]] = [
        ("numbers", "Final numbers", functools.partial(sections.final_numbers, run)),
        ("columns", "Errors of the columns", functools.partial(columns.column_blocks, run)),
        ("learning", "Learning curves", functools.partial(sections.learning_curves, run)),
        *(
            (id, title, functools.partial(budget.section, run, id))
            for id, (title, _) in figures.SECTIONS.items()
        ),
        ("kl", "KL of the latents", functools.partial(sections.latent_rates, run)),
        (
            "rate-distortion",
            "Rate and distortion",
            functools.partial(sections.rate_distortion, run),
        ),
        ("anomaly", "Anomaly detection", functools.partial(sections.anomalies, run)),
        *sections.remaining_metrics(run),
        ("data", "Data", functools.partial(provenance.data, run)),
        ("config", "Config", functools.partial(provenance.config, run)),
        ("origin", "Provenance", functools.partial(provenance.origin, run)),
    ]
    header = functools.partial(sections.render_summary, run)
    return render_page(f"{run.name}: report", header, budget.render(makers))
