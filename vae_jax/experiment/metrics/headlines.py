"""The headline numbers of each metric, for the log and for the report."""

from collections.abc import Iterator, Mapping
from typing import Any

HEADLINES = {  # ends of paths; metrics that are not listed show all their numbers
    "codes": ("perplexity",),
    "likelihood": ("log_likelihood",),
    "annealed": ("log_likelihood", "importance", "bidirectional_gap"),
    "gap": ("inference_gap",),
    "decomposition": ("mutual_information", "total_correlation"),
    "ppca": ("relative_error", "subspace_angle", "variance_error"),
    "disentanglement": (
        "mig_locatello",
        "mig_chen",
        "factor_vae",
        "dci_forest_disentanglement",
        "sap",
    ),
    "quality": ("frechet", "kernel"),
    "molecules": (
        "draws/validity",
        "draws/uniqueness",
        "draws/novelty",
        "draws/nearest_similarity",
    ),
    "search": ("best_training", "best_new", "prediction_gap"),
    "reconstruction": ("mse", "psnr", "ssim"),
    "representation": ("linear_probe", "knn", "nmi"),
    "anomaly": ("auroc",),
    "compression": ("promised", "reached"),
    "imputation": ("rmse_standardized", "wrong_codes"),
    "sequences": ("exact_greedy", "exact_sampled", "token_accuracy", "length_distance"),
    "accuracy": ("accuracy",),
    "udr": ("mean",),
}

Entry = tuple[tuple[str, ...], float | None, Any]  # path, value, standard error


def headline_entries(metric: str, numbers: Mapping[str, Any]) -> list[Entry]:
    """The headline numbers of a metric: (path, value, standard error or None)."""
    names = HEADLINES.get(metric)
    return [
        entry for entry in _entries(numbers, ()) if names is None or _ends_with(entry[0], names)
    ]


def _ends_with(path: tuple[str, ...], names: tuple[str, ...]) -> bool:
    """True if the path, without the brackets of its key, ends with one of the names."""
    text = "/".join(("", *path[:-1], path[-1].partition("[")[0]))
    return any(text.endswith(f"/{name}") for name in names)


def stderr_of(key: str, numbers: Mapping[str, Any]) -> Any:
    """The standard error of a number, or None; "frechet[x]" has "frechet_stderr[x]"."""
    name, bracket, rest = key.partition("[")
    return numbers.get(f"{name}_stderr{bracket}{rest}")


def _entries(numbers: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[Entry]:
    """All estimates; integers are counts, and None is a number that was not finite."""
    for key, value in numbers.items():
        is_estimate = value is None or isinstance(value, float)
        if isinstance(value, Mapping):
            yield from _entries(value, (*path, key))
        elif is_estimate and "_stderr" not in key and key != "seconds":
            yield (*path, key), value, stderr_of(key, numbers)
