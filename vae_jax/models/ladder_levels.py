"""Levels of a ladder from the top down, specified as a string such as "1x1 4x2 8x2"."""

import itertools
import math
import re
from collections.abc import Sequence
from typing import NamedTuple

from vae_jax.errors import Argument, InputError, check_range, format_value
from vae_jax.nets.conv import halve_resolution
from vae_jax.nets.residual import Grid

SYNTAX = "resolution x number of stochastic layers, from the top down, as '1x1 4x2 8x2'"


class Level(NamedTuple):
    """One level of the ladder and its stochastic layers, if any."""

    grid: Grid  # height and width of its map, None for a vector
    width: int  # features of the state
    latent: int  # size of z: channels of a map, or dimensions
    layers: int = 1  # stochastic layers

    @property
    def latent_dim(self) -> int:
        """Dimensions of the z of one layer."""
        return self.latent * math.prod(self.grid or ())


def vector_levels(latents: Sequence[int], widths: Sequence[int]) -> tuple[Level, ...]:
    """Levels of vectors, one layer each, from sizes of z and widths of the state, top down.

    ``vector_levels((10, 20), (64, 128))`` has a z of 10 dimensions above one of 20.

    Raises:
      InputError: no levels, lists of different lengths, or a size below 1.
    """
    if not latents or len(latents) != len(widths):
        raise InputError(
            Argument("latents"),
            f" = {format_value(tuple(latents))}: must have the length of ",
            Argument("widths"),
            f" = {format_value(tuple(widths))}, at least one",
        )
    for name, sizes in (("latents", latents), ("widths", widths)):
        for size in sizes:
            check_range(Argument(name), size, 1)
    return tuple(Level(None, width, latent) for latent, width in zip(latents, widths, strict=True))


def map_levels(
    stack: str,
    event_shape: Sequence[int],
    *,
    latents: int | Sequence[int] = 4,
    widths: int | Sequence[int] = 64,
) -> tuple[Level, ...]:
    """Levels for images [H, W, C] from a string such as "1x1 4x2 8x2", from the top down.

    Each entry is resolution x number of stochastic layers. A resolution is the longer side of a
    map, one of those that repeated halving of the image, rounding up, yields: 28, 14, 7, 4, 2, 1.
    At 1 the state is a vector. `x number` defaults to one layer. A level with 0 layers is an
    intermediate map in a large step. The ladder ends at half the image's resolution, or at all of
    it if the last entry says so.

    Args:
      stack: the specification; entries are separated by spaces, commas or both. Empty: the top
        and the largest maps below full resolution, one entry for each of `latents`, or three.
      event_shape: shape of the images.
      latents: channels of each z, one number or one per entry.
      widths: features of the state, likewise; constant after the last entry.

    Raises:
      InputError: a malformed specification, a resolution that the image doesn't have, or
        resolutions that don't grow.
    """
    if len(event_shape) != 3:
        raise InputError(
            f"a ladder of maps needs images [H, W, C], but the data are {tuple(event_shape)}; use "
            "vector_levels"
        )
    size = tuple(event_shape[:2])
    grids = {
        max(halve_resolution(size, times)): halve_resolution(size, times)
        for times in range(max(size).bit_length() + 1)
    }
    if not stack.strip():
        stack = _default_stack(latents, list(grids))
    entries = [_entry(stack, text, grids) for text in re.split(r"[\s,]+", stack.strip())]
    resolutions = [resolution for resolution, _ in entries]
    if any(above >= below for above, below in itertools.pairwise(resolutions)):
        raise InputError(
            Argument("stack"),
            f" = {format_value(stack)}: resolutions must grow from the top down, each named once: "
            f"{SYNTAX}",
        )
    if entries[0][1] == 0:
        raise InputError(
            Argument("stack"),
            f" = {format_value(stack)}: the first entry, the top, must have a stochastic layer",
        )
    latents = _each("latents", latents, len(entries))
    widths = _each("widths", widths, len(entries))
    levels = [
        Level(None if resolution == 1 else grids[resolution], width, latent, layers)
        for (resolution, layers), latent, width in zip(entries, latents, widths, strict=True)
    ]
    half = halve_resolution(size, 1)
    if resolutions[-1] < max(half):
        levels.append(Level(half, widths[-1], 0, 0))
    return tuple(levels)


def _default_stack(latents: int | Sequence[int], resolutions: Sequence[int]) -> str:
    """The top and the largest maps below full resolution: one entry for each of `latents`."""
    number = 3 if isinstance(latents, int) else len(latents)
    number = max(1, min(number, len(resolutions) - 1)) if isinstance(latents, int) else number
    if not 0 < number < max(2, len(resolutions)):
        raise InputError(
            f"latents = {format_value(latents)}: one for each entry of a stack, but the image has "
            f"maps of {', '.join(map(str, resolutions))} only; name fewer, or one number"
        )
    return " ".join(map(str, [1, *reversed(resolutions[1:number])]))


def _entry(stack: str, text: str, grids: dict[int, tuple[int, ...]]) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", text)
    if match is None:
        raise InputError(
            Argument("stack"),
            f" = {format_value(stack)}: {format_value(text)} is not an entry; must be {SYNTAX}",
        )
    resolution, layers = int(match[1]), int(match[2] or 1)
    if resolution not in grids:
        size = "x".join(map(str, grids[max(grids)]))
        raise InputError(
            Argument("stack"),
            f" = {format_value(stack)}: no map of resolution {resolution}; an image of {size} has "
            f"{', '.join(map(str, grids))}",
        )
    return resolution, layers


def _each(name: str, values: int | Sequence[int], number: int) -> tuple[int, ...]:
    values = (values,) * number if isinstance(values, int) else tuple(values)
    if len(values) != number:
        raise InputError(
            Argument(name),
            f" = {format_value(values)}: must be one number, or one for each of the {number} "
            "entries of the stack",
        )
    for value in values:
        check_range(Argument(name), value, 1)
    return values
