"""Molecules sampled from the model: their validity, diversity and likeness to test molecules."""

import functools
from collections.abc import Iterator, Mapping, Sequence

import jax
import numpy as np

from vae_jax.config import Config, value_of
from vae_jax.config.rules import METRICS, join_values
from vae_jax.data import Dataset, Source
from vae_jax.data.optional import import_rdkit
from vae_jax.data.text.tokens import MOLECULES
from vae_jax.errors import InputError
from vae_jax.evaluation import molecules as measures
from vae_jax.evaluation.common import Estimate
from vae_jax.evaluation.progress import Progress, track
from vae_jax.experiment import processes
from vae_jax.experiment.metrics.context import (
    Context,
    Numbers,
    choose_examples,
    name_estimate,
    read_batches,
)
from vae_jax.experiment.metrics.latents import rate_weight
from vae_jax.experiment.metrics.samples import generate_examples
from vae_jax.files import Path, write_atomically
from vae_jax.types import Array

SAMPLES = "samples.smi"
MIN_SAMPLES = 1_000  # that are drawn for a small training set
READ_ROWS = 10_000  # examples decoded to text at a time

DRAWS, GREEDY, VALIDATION = "draws", "greedy", "validation"


def molecules(context: Context, key: Array) -> Numbers:
    """Numbers of molecules of the model, and of validation molecules, against test molecules.

    Writes the valid draws to `samples.smi`.
    """
    dataset, limit = context.dataset, context.config.evaluation.molecule_samples
    size = min(limit, max(MIN_SAMPLES, dataset.train.num_examples))
    sets = _generate(context, size, key)
    sets[VALIDATION] = _read(dataset, dataset.valid, size)
    reference = measures.describe(_read(dataset, dataset.test, limit))
    known = training_molecules(dataset)
    described = {
        name: measures.describe(smiles)
        for name, smiles in zip(sets, track(list(sets.values()), "molecules", "sets"), strict=True)
    }
    if processes.is_first():
        _write(context.workdir / SAMPLES, sets[DRAWS], described[DRAWS].molecules)
    weight = rate_weight(context.config, dataset.shape)
    trained = "a model without latents" if weight is None else f"weight of the rate {weight:.4g}"
    return {
        "estimator": f"{size} draws of z from the prior, decoded by sampling p(x | z) at "
        f"temperature 1 ({DRAWS}) and greedily ({GREEDY}), and {len(sets[VALIDATION])} validation "
        f"molecules ({VALIDATION}), which show the numbers of the data themselves, against "
        f"{len(reference.molecules)} test molecules; validity: it ends and RDKit parses it; "
        "uniqueness: of distinct canonical SMILES among the valid ones of the first 1,000, of the "
        "first 10,000 and of all samples; novelty: of the distinct valid ones that are not among "
        f"{len(known)} distinct training molecules, by canonical SMILES; definitions of MOSES, "
        "differences in docs/molecules.md; standard errors over molecules; no Fréchet ChemNet "
        f"distance; {trained}",
        "num_samples": size,
        **({} if weight is None else {"rate_weight": weight}),
        "samples_file": SAMPLES,
        **_explain_missing(described, reference),
        "sets": {
            name: {"valid_molecules": entry.num_valid}
            | _flatten(measures.compare(entry, reference, known))
            for name, entry in described.items()
        },
    }


def explain_molecules(config: Config, dataset: Dataset, *, name: str) -> str | None:
    """A rule of a metric: the data are molecules, and RDKit is installed."""
    if name not in config.evaluation.metric_names:
        return None
    text = dataset.text
    if text is None or text.kind not in MOLECULES:
        field = "data.name" if text is None else "data.alphabet"
        value = value_of(config, field) if text is None else text.kind
        return (
            f"config.{METRICS} = {name!r}: doesn't fit config.{field} = {value!r}; it needs "
            f"lines of the alphabet {join_values(MOLECULES)}"
        )
    try:
        import_rdkit()
    except InputError as error:
        return f"config.{METRICS} = {name!r}: {error}"
    return None


def _generate(context: Context, size: int, key: Array) -> dict[str, list[str | None]]:
    """Samples as SMILES, drawn from p(x | z) and greedy at the same z; None if without end."""
    rows = generate_examples(context, size, key, None, greedy=True)
    return {name: context.dataset.text.decode_complete(rows[name]) for name in (DRAWS, GREEDY)}


def _read(dataset: Dataset, source: Source, limit: int) -> list[str]:
    """At most `limit` examples of a source as SMILES."""
    parts = _iterate(dataset, source, choose_examples(source, limit))
    return [smiles for part in parts for smiles in part]


def _iterate(dataset: Dataset, source: Source, index: np.ndarray) -> Iterator[list[str]]:
    """Yield the examples at index [n] as SMILES, `READ_ROWS` at a time."""
    for batch in read_batches(source, index, jax.random.key(0), batch_size=READ_ROWS):
        yield dataset.text.decode_rows(np.asarray(batch["x"]))


@functools.lru_cache(maxsize=1)  # shared by the trials of a sweep
def training_molecules(dataset: Dataset) -> frozenset[str]:
    """The canonical SMILES of all training molecules."""
    known: set[str] = set()
    index = np.arange(dataset.train.num_examples)
    with Progress(len(index), "training molecules", "molecules") as progress:
        for part in _iterate(dataset, dataset.train, index):
            known |= measures.canonical_set(part)
            progress.update(len(part))
    return frozenset(known)


def _flatten(numbers: Mapping[str, Estimate | float]) -> dict[str, float]:
    """Estimates as values and standard errors."""
    flat = {}
    for name, number in numbers.items():
        flat |= name_estimate(name, number) if isinstance(number, Estimate) else {name: number}
    return flat


def _explain_missing(
    described: Mapping[str, measures.Description], reference: measures.Description
) -> dict[str, str]:
    """Why numbers are missing, under "unmeasured"; empty if none is."""
    names: dict[str, list[str]] = {}
    for name, entry in described.items():
        reason = "; ".join(measures.explain_missing(entry, reference))
        names.setdefault(reason, []).append(name)
    text = ". ".join(f"{', '.join(names[reason])}: {reason}" for reason in names if reason)
    return {"unmeasured": text} if text else {}


def _write(path: Path, smiles: Sequence[str], parsed: Sequence[object]) -> None:
    """Write valid samples as lines "SMILES<tab>number"; the number counts all samples, from 1."""
    lines = [
        f"{text}\t{number}\n"
        for number, (text, molecule) in enumerate(zip(smiles, parsed, strict=True), start=1)
        if molecule is not None
    ]
    write_atomically(path, "".join(lines).encode())
