"""Tables: CSV and Parquet files, and data frames, as rows of numbers with a schema."""

from vae_jax.data.tables.chunks import read_chunks
from vae_jax.data.tables.encoding import decode_rows, encode_frame, encode_labels
from vae_jax.data.tables.schema import TableColumn, TableSchema

__all__ = [
    "TableColumn",
    "TableSchema",
    "decode_rows",
    "encode_frame",
    "encode_labels",
    "read_chunks",
]
