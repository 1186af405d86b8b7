"""Results as GitHub markdown tables."""

from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.contestants import CONTESTANTS, PYTORCH
from benchmarks.tasks import TASKS

HEADER = (
    "task",
    "contestant",
    "examples/s",
    "to PyTorch",
    "share of matmul peak",
    "compile s",
    "first step s",
    "peak MB",
)
PROCESS_HEADER = ("job", "variant", "seconds", "each run", "peak MB")


def table(header: Sequence[str], rows: Iterable[Sequence[str]], text_columns: int = 2) -> str:
    """A markdown table; columns after the text columns are aligned to the right."""
    marks = ["---"] * text_columns + ["---:"] * (len(header) - text_columns)
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, marks, *rows))


def reference(results: dict[str, dict[str, Any]]) -> float | None:
    """Examples per second of the faster PyTorch variant; None if neither ran."""
    return max((results[name]["rate"] for name in PYTORCH if name in results), default=None)


def with_ratios(
    results: dict[str, dict[str, Any]], flops: int, peak: float | None
) -> dict[str, dict[str, Any]]:
    """Add `to_pytorch` and `share_of_peak` to one task's results; peak in operations per second."""
    best = reference(results)
    return {
        name: r
        | {
            "to_pytorch": best and r["rate"] / best,
            "flops_per_s": r["rate"] * flops,
            "share_of_peak": peak and r["rate"] * flops / peak,
        }
        for name, r in results.items()
    }


def train_rows(results: dict[str, dict[str, dict[str, Any]]]) -> list[list[str]]:
    """Rows of the table of training speeds: {task: {contestant: numbers}}."""
    return [
        [
            TASKS[task].title,
            CONTESTANTS[name].title,
            f"{r['rate']:,.0f}",
            _or_dash(r["to_pytorch"], "{:.2f}"),
            _or_dash(r["share_of_peak"], "{:.1%}"),
            f"{r['compile_s']:.1f}",
            f"{r['first_step_s']:.1f}",
            f"{r['device_memory_mb'] or r['memory_mb']:,.0f}",
        ]
        for task, contestants in results.items()
        for name, r in contestants.items()
    ]


def peak_sentence(peaks: dict[str, dict[str, Any]], dtype: str) -> str:
    """The matmul peaks in one line."""
    parts = [
        f"{r['title']} {r['rate'] / 1e9:,.0f} GFLOP/s" + (f" (size {r['size']})" * bool(r["size"]))
        for r in peaks.values()
    ]
    return f"Matmul peak in {dtype}, the best size by its median: " + ", ".join(parts)


def process_rows(results: dict[str, dict[str, dict[str, Any]]]) -> list[list[str]]:
    """Rows of the table of whole processes: {job: {variant: numbers}}."""
    return [
        [
            job,
            name,
            _digits(r["seconds"]),
            " ".join(map(_digits, r["all_seconds"])),
            _or_dash(r["memory_mb"], "{:,.0f}"),
        ]
        for job, variants in results.items()
        for name, r in variants.items()
    ]


def _or_dash(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _digits(seconds: float) -> str:
    """Seconds to a tenth, or as an integer if they were noted as one."""
    return f"{seconds:.1f}" if isinstance(seconds, float) else str(seconds)
