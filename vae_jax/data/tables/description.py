"""A block of text about the columns of a table."""

from vae_jax.data.sources import Dataset
from vae_jax.data.splits import distinct_splits
from vae_jax.errors import truncate

MAX_NAME = 30  # characters of the name of a column


def describe_table(dataset: Dataset) -> str:
    """A line for each column: name, kind, content, number of missing values, reason."""
    lines = [
        (
            truncate(row["name"], MAX_NAME),
            row["kind"],
            row["content"],
            f"{row['missing']} missing" if row["missing"] else "",
            row["reason"],
        )
        for row in dataset.preparation["table"]["description"]
    ]
    widths = [max(len(line[place]) for line in lines) for place in range(4)]
    splits = distinct_splits(dataset.preparation)
    num_rows = sum(getattr(dataset, split).num_examples for split in splits)
    text = [f"{dataset.name}: {num_rows:,} rows"]
    for line in lines:
        cells = [cell.ljust(width) for cell, width in zip(line, (*widths, 0), strict=True)]
        text.append("  " + "  ".join(cells).rstrip())
    return "\n".join(text)
