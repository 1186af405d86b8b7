"""Options of the modes that answer for every row. JAX is not imported."""

import dataclasses
from typing import Any

from vae_jax.errors import InputError, check_range

MODES = ("score", "encode", "impute", "reconstruct", "sample")
READING = ("score", "encode", "impute", "reconstruct")  # modes that read rows
USED_BY = {  # the modes of each option; the remaining options are for all
    "data": READING,
    "draws": ("score", "impute"),
    "imputations": ("impute",),
    "flag_quantile": ("score",),
    "num_samples": ("sample",),
    "means": ("sample",),
    "temperature": ("sample",),
    "label": ("sample",),
}
DRAWS = {"score": 100, "impute": 1000}  # defaults
TEXT_DRAWS = 10  # default for lines of text, whose decoder costs more
FLAG_QUANTILE, NUM_SAMPLES = 0.99, 100


@dataclasses.dataclass(frozen=True)
class RowOptions:
    """Options by the names of their flags; None: the default."""

    data: str | None = None  # file with the rows; by default the test split of the run
    output: str | None = None
    overwrite: bool = False
    draws: int | None = None
    flag_quantile: float | None = None
    imputations: int | None = None
    num_samples: int | None = None
    means: bool = False
    temperature: float | None = None
    label: str | None = None

    def check(self, mode: str) -> None:
        """Raises InputError for an option that the mode does not use, or an invalid value."""
        for name, value in dataclasses.asdict(self).items():
            modes = USED_BY.get(name, MODES)
            if value not in (None, False) and mode not in modes:
                raise InputError(
                    f"{name} = {value!r}: does nothing with --mode={mode}, only with "
                    f"{', '.join(modes)}; omit it"
                )
        for name in ("draws", "imputations", "num_samples"):
            if (number := getattr(self, name)) is not None:
                check_range(name, number, 1)
        if self.flag_quantile is not None:
            check_range("flag_quantile", self.flag_quantile, 0.0, 1.0)
        if self.temperature is not None:
            check_range("temperature", self.temperature, 0.0, open_low=True)

    def given(self) -> dict[str, Any]:
        """The options that differ from their defaults."""
        return {
            field.name: value
            for field in dataclasses.fields(self)
            if (value := getattr(self, field.name)) != field.default
        }
