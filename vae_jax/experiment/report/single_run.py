"""The report of one run: which sections, in which order."""

import functools
from collections.abc import Callable, Iterator

from vae_jax.experiment.report import provenance, sections
from vae_jax.experiment.report.html import Section, note, page
from vae_jax.experiment.report.pictures import PICTURES, Pictures
from vae_jax.experiment.report.workdir_files import Contents

Maker = Callable[[], Section | None]


def run_page(run: Contents) -> str:
    """The page of a run."""
    made = {id: guarded(id, title, make) for id, title, make in _makers(run)}
    pictures = Pictures(made.values())
    for id, (title, _) in PICTURES.items():
        made[id] = guarded(id, title, functools.partial(pictures.section, run, id))
    top = guarded("top", "Report", lambda: Section("top", "", sections.top(run)))
    return page(
        f"{run.name}: report",
        top.body,
        [section for section in made.values() if section is not None],
    )


def guarded(id: str, title: str, make: Maker) -> Section | None:
    """A section, or one with a note in its place where what it is made of isn't what it should be."""
    try:
        return make()
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        return Section(
            id, title, note(f"This part can't be shown ({type(error).__name__}: {error}).")
        )


def _makers(run: Contents) -> Iterator[tuple[str, str, Maker]]:
    """(id, title, maker) in the order of the page; the places of the pictures are kept."""
    yield "numbers", "Final numbers", functools.partial(sections.final_numbers, run)
    yield "learning", "Learning curves", functools.partial(sections.learning, run)
    for id, (title, _) in PICTURES.items():
        yield id, title, lambda: None
    yield "kl", "KL of the latents", functools.partial(sections.rates, run)
    yield "rate-distortion", "Rate and distortion", functools.partial(sections.plane, run)
    yield "anomaly", "Anomaly detection", functools.partial(sections.anomalies, run)
    yield from sections.others(run)
    yield "data", "Data", functools.partial(provenance.data, run)
    yield "config", "Config", functools.partial(provenance.config, run)
    yield "origin", "How it was made", functools.partial(provenance.origin, run)
