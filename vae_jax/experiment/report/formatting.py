"""Numbers in words: what each is called, how many digits it has, and what it means."""

import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from vae_jax.experiment.report.html import Html, element, join, note, paragraph, table


class Meaning(NamedTuple):
    """What a number is called and what it says."""

    name: str
    unit: str
    text: str


MEANINGS = {
    "elbo": Meaning(
        "ELBO", "nats", "Lower bound on the log-likelihood of an example; higher is better."
    ),
    "distortion": Meaning(
        "Distortion",
        "nats",
        "−E log p(x | z): what a reconstruction costs; lower is closer to the input.",
    ),
    "rate": Meaning(
        "Rate", "nats", "KL(q(z | x) ‖ p(z)): how much the codes say about an example."
    ),
    "bits_per_dim": Meaning(
        "Bits per dimension",
        "bits",
        "The negative bound for each number of an example; lower is better.",
    ),
    "active_units": Meaning(
        "Active units", "", "Latents whose code varies by more than 0.01 over the data."
    ),
    "mse": Meaning(
        "MSE", "", "Mean squared error of the reconstruction from the posterior's center."
    ),
    "psnr": Meaning(
        "PSNR",
        "dB",
        "The same on a logarithmic scale, the range of the data as the peak; higher is better.",
    ),
    "denoising_mse": Meaning(
        "MSE, denoising", "", "Error of the reconstruction from a corrupted input."
    ),
    "denoising_psnr": Meaning(
        "PSNR, denoising", "dB", "The same on a logarithmic scale; higher is better."
    ),
    "ssim": Meaning("SSIM", "", "Structural similarity of input and reconstruction; 1 is perfect."),
    "accuracy": Meaning("Accuracy", "", "Share of examples whose class is assigned correctly."),
    "log_likelihood": Meaning(
        "log p(x)", "nats", "Estimated log-likelihood of an example; higher is better."
    ),
    "ess_mean": Meaning("Effective samples, mean", "", "How many of the importance samples count."),
    "ess_median": Meaning(
        "Effective samples, median", "", "The same for the example in the middle."
    ),
    "ess_5_percent": Meaning(
        "Effective samples, 5% quantile", "", "The same for examples that are hard to explain."
    ),
    "mutual_information": Meaning(
        "Mutual information I(x; z)", "nats", "What the codes tell about which example it was."
    ),
    "aggregate_kl": Meaning(
        "KL(q(z) ‖ p(z))", "nats", "How far all codes together are from the prior."
    ),
    "total_correlation": Meaning(
        "Total correlation", "nats", "Dependence between the latents of q(z); 0 is none."
    ),
    "inference_gap": Meaning("Inference gap", "nats", "How far the bound is below log p(x)."),
    "approximation_gap": Meaning(
        "Approximation gap", "nats", "The part that the family of posteriors costs."
    ),
    "amortization_gap": Meaning("Amortization gap", "nats", "The part that the encoder costs."),
    "auroc": Meaning(
        "AUROC", "", "Chance that a strange example scores above a normal one; 0.5 is guessing."
    ),
    "mig_locatello": Meaning(
        "MIG (Locatello)", "", "Gap of information on each factor between the two best codes."
    ),
    "mig_chen": Meaning(
        "MIG (Chen)", "", "The same, from the whole posterior on the full grid of factors."
    ),
    "beta_vae": Meaning(
        "BetaVAE score", "", "Accuracy of telling a fixed factor from differences of codes."
    ),
    "factor_vae": Meaning(
        "FactorVAE score", "", "Accuracy of telling a fixed factor from the code that varies least."
    ),
    "sap": Meaning("SAP", "", "Gap between the two codes that predict each factor best."),
    "irs": Meaning("IRS", "", "How little codes move when other factors do."),
    "codes_in_use": Meaning("Codes in use", "", "Share of the codebook that the test set uses."),
    "perplexity": Meaning("Perplexity", "", "Of how many codes, used evenly, the use is worth."),
    "kl_per_layer": Meaning("KL of each layer", "nats", "From the top down."),
    "kl_per_unit": Meaning("KL of each latent", "nats", ""),
    "aggregate_kl_per_unit": Meaning(
        "KL(q(z_d) ‖ p(z_d))", "nats", "Of each latent of the aggregate posterior."
    ),
    "promised": Meaning("Promised", "bits/dim", "The mean of −ELBO over these examples."),
    "reached": Meaning("Reached", "bits/dim", "What bits-back coding adds to the message."),
    "lossless": Meaning("Lossless", "", "Whether decoding gave every value back."),
    "annealed_less_importance": Meaning(
        "Annealed − importance", "nats", "How loose the importance-weighted bound is."
    ),
    "bidirectional_gap": Meaning(
        "Upper − lower", "nats", "Between bounds from both sides, on simulated examples."
    ),
    "acceptance": Meaning(
        "Acceptance", "", "Share of the proposals of Hamiltonian Monte Carlo that are taken."
    ),
    "num_examples": Meaning("Examples", "", ""),
    "num_samples": Meaning("Samples", "", "Draws that the number is made of."),
}
SECTIONS = {
    "likelihood": "Marginal likelihood",
    "marginal_likelihood": "Marginal likelihood",
    "annealed": "Annealed importance sampling",
    "annealing": "Annealed importance sampling",
    "decomposition": "The rate taken apart",
    "gap": "Inference gap",
    "disentanglement": "Disentanglement",
    "quality": "Sample quality",
    "reconstruction": "Reconstruction",
    "representation": "Representation",
    "augmentation": "Augmentation",
    "compression": "Compression",
    "anomaly": "Anomaly detection",
    "udr": "Unsupervised disentanglement ranking (UDR)",
}
HEADLINES = {  # the chief numbers of a metric; of others all are
    "codes": ("perplexity",),
    "likelihood": ("log_likelihood",),
    "annealed": ("log_likelihood", "bidirectional_gap"),
    "gap": ("inference_gap",),
    "decomposition": ("mutual_information", "total_correlation"),
    "disentanglement": (
        "mig_locatello",
        "mig_chen",
        "factor_vae",
        "dci_forest_disentanglement",
        "sap",
    ),
    "quality": ("frechet", "kernel"),
    "reconstruction": ("mse", "psnr", "ssim"),
    "representation": ("linear_probe", "knn", "nmi"),
    "anomaly": ("auroc",),
    "compression": ("promised", "reached"),
    "accuracy": ("accuracy",),
}
MINUS, MISSING = "−", "not finite"
_SKIPPED = (
    "failed",
    "estimator",
    "data",
    "seconds",
    "verdict",
    "evidence",
    "remedy",
    "scores_file",
)


def words(key: str) -> str:
    """The name of a key for readers."""
    if key in MEANINGS:
        return MEANINGS[key].name
    text = f"number of {key[4:]}" if key.startswith("num_") else key
    text = text.replace("_", " ").replace("/", " ").strip()
    return text[:1].upper() + text[1:]


def format_value(value: Any, stderr: Any = None) -> str:
    """A value, ± its standard error where that is known, with as many digits as mean something."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return MISSING
    if isinstance(value, list | tuple):
        errors = (
            stderr
            if isinstance(stderr, list | tuple) and len(stderr) == len(value)
            else [None] * len(value)
        )
        return ", ".join(
            format_value(entry, error) for entry, error in zip(value, errors, strict=True)
        )
    if not isinstance(value, int | float):
        return str(value)
    if not is_number(value):
        return MISSING
    if is_number(stderr) and stderr > 0:
        digits = min(max(1 - math.floor(math.log10(stderr)), 0), 8)
        return _signed(f"{value:,.{digits}f} ± {stderr:.{digits}f}")
    return _signed(f"{value:,}" if isinstance(value, int) else _rounded(value))


def _rounded(value: float) -> str:
    if value == 0:
        return "0"
    size = math.floor(math.log10(abs(value)))
    return (
        f"{value:.3g}"
        if not -5 <= size < 9
        else f"{value:,.{max(3 - size, 0) if size < 2 else 2 if size < 4 else 0}f}"
    )


def _signed(text: str) -> str:
    return MINUS + text[1:] if text.startswith("-") else text


def is_number(value: Any) -> bool:
    """Whether it is a finite number, and no truth value."""
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300
    )  # which NaN is not


def with_unit(key: str, value: Any, stderr: Any = None) -> str:
    """The value with its unit, where it has one."""
    unit = MEANINGS[key].unit if key in MEANINGS and value is not None else ""
    return f"{format_value(value, stderr)} {unit}".strip()


def numbers_of(values: Mapping[str, Any], *, level: int = 3) -> Html:
    """Any tree of numbers: how they were made, a table with their errors, and a table or heading for each tree inside."""
    plain = {
        key: value
        for key, value in values.items()
        if not isinstance(value, Mapping) and not _is_error(key, values)
    }
    rows = [
        (words(key), with_unit(key, value, error_of(key, values)), _meaning(key))
        for key, value in plain.items()
        if key not in _SKIPPED and not _is_long(value)
    ]
    parts: list[object] = (
        [note(f"This could not be measured: {plain['failed']}")] if "failed" in plain else []
    )
    if {"verdict", "evidence"} <= plain.keys():
        parts.append(paragraph(f"{values['verdict']}: {values['evidence']}"))
    parts += [paragraph(how, class_="soft") for how in [_how(plain)] if how]
    if rows:
        explained = any(meaning for _, _, meaning in rows)
        parts.append(
            table(
                ("", "Value", "Meaning")[: 2 + explained],
                [row[: 2 + explained] for row in rows],
                class_="meanings",
            )
        )
    for key, inside in values.items():
        if isinstance(inside, Mapping) and inside:
            parts += [element(f"h{level}", words(key)), _inside(inside, level)]
    if "seconds" in values:
        parts.append(paragraph(f"Made in {format_value(values['seconds'])} s.", class_="soft"))
    return join(*parts)


def _how(plain: Mapping[str, Any]) -> str:
    """How the numbers were made, and of which data, as sentences."""
    told = [plain[key] for key in ("estimator", "data") if isinstance(plain.get(key), str)]
    return " ".join(f"{text[:1].upper()}{text[1:].rstrip('.')}." for text in told if text)


def _inside(values: Mapping[str, Any], level: int) -> Html:
    """A tree: one table where all its branches hold the same numbers, else each on its own."""
    branches = list(values.values())
    alike = len(branches) > 1 and all(
        isinstance(branch, Mapping) and branch.keys() == branches[0].keys() for branch in branches
    )
    if not alike or any(
        isinstance(value, Mapping) or _is_long(value) for value in branches[0].values()
    ):
        return numbers_of(values, level=min(level + 1, 6))
    columns = [key for key in branches[0] if not _is_error(key, branches[0])]
    rows = [
        (words(name), *(format_value(b[key], error_of(key, b)) for key in columns))
        for name, b in values.items()
    ]
    return table(("", *map(words, columns)), rows)


def _meaning(key: str) -> str:
    return MEANINGS[key].text if key in MEANINGS else ""


def error_of(key: str, values: Mapping[str, Any]) -> Any:
    """The standard error beside a number, None where there is none: of "frechet[digits]" it is "frechet_stderr[digits]"."""
    bare, bracket, rest = key.partition("[")
    return values.get(f"{bare}_stderr{bracket}{rest}")


def _is_error(key: str, values: Mapping[str, Any]) -> bool:
    return "_stderr" in key and key.replace("_stderr", "", 1) in values


def headlines(metric: str, values: Mapping[str, Any]) -> dict[str, str]:
    """The chief numbers of a metric with their errors, by their name for readers."""
    wanted, found = HEADLINES.get(metric), {}
    for path, value, stderr in _leaves(values, ()):
        if wanted is None or path[-1].partition("[")[0] in wanted:
            inside = ", ".join(map(words, path[::-1])) + (
                f" ({unit})" if (unit := _unit(path[-1])) else ""
            )
            found[f"{SECTIONS.get(metric, words(metric))}: {inside}"] = format_value(value, stderr)
    return found


def _unit(key: str) -> str:
    return MEANINGS[key].unit if key in MEANINGS else ""


def _leaves(
    values: Mapping[str, Any], path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], float | None, Any]]:
    """(path, value, standard error) of all estimates; whole numbers are counts, and no estimates."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*path, key))
        elif (
            (value is None or isinstance(value, float))
            and "_stderr" not in key
            and key != "seconds"
        ):
            yield (*path, key), value, error_of(key, values)


def _is_long(value: Any) -> bool:
    return isinstance(value, list | tuple) and (
        len(value) > 16 or any(isinstance(entry, Mapping | list) for entry in value)
    )
