"""Which pixels of the two images of a convolution meet, see `vae_jax.nets.conv_ops`."""

from typing import NamedTuple, TypeAlias

from vae_jax.errors import InputError, check_choice, check_range
from vae_jax.types import Array

Pair: TypeAlias = tuple[int, ...]  # rows, columns


class Geometry(NamedTuple):
    """The static part of T: which pixels of the large image meet which of the small one."""

    stride: int
    kernel: Pair
    large: Pair  # size of x
    small: Pair  # size of y

    @property
    def taps(self) -> Pair:
        """Size of the kernel in cells: ceil(k / s)."""
        return tuple(-(-k // self.stride) for k in self.kernel)

    @property
    def span(self) -> Pair:
        """Rows and columns, of x or the zeros around it, that the kernel covers."""
        return tuple(
            (p - 1) * self.stride + k for p, k in zip(self.small, self.kernel, strict=True)
        )

    def padding(self, total: Pair) -> list[tuple[int, int]]:
        """Zeros before and after x to reach a total size; negative numbers crop."""
        low = (max(span - size, 0) // 2 for span, size in zip(self.span, self.large, strict=True))
        return [(lo, end - lo - size) for lo, end, size in zip(low, total, self.large, strict=True)]

    @property
    def outside(self) -> list[tuple[int, int]]:
        """Rows and columns of the cells, in pixels, before and after x; negative within it."""
        cells = (p + a - 1 for p, a in zip(self.small, self.taps, strict=True))
        return self.padding(tuple(n * self.stride for n in cells))


def geometry_of(
    x: Array, kernel: Array, stride: int, padding: str, *, transposed: bool
) -> Geometry:
    """The geometry of a convolution of x [N, H, W, Cin] with a kernel [kh, kw, Cin, Cout].

    Of a transposed one, x is the small image.

    "SAME" maps n pixels to ceil(n / s), transposed to n s; "VALID" to (n - k) // s + 1, transposed
    to n s + max(k - s, 0).

    Raises:
      InputError: another rank than 4, an unknown padding, or an image smaller than the
        kernel.
    """
    if x.ndim != 4 or kernel.ndim != 4:
        raise InputError(
            f"x has shape {x.shape}, kernel {kernel.shape}: must have rank 4, NHWC and HWIO"
        )
    check_range("stride", stride, 1)
    same = check_choice("padding", padding, ("SAME", "VALID")) == "SAME"
    size, taps = x.shape[1:3], kernel.shape[:2]
    if transposed:
        large = tuple(
            n * stride + (0 if same else max(k - stride, 0))
            for n, k in zip(size, taps, strict=True)
        )
        return Geometry(stride, taps, large, small=size)
    small = tuple(
        -(-n // stride) if same else (n - k) // stride + 1 for n, k in zip(size, taps, strict=True)
    )
    if min(small) < 1:
        raise InputError(
            f"x has shape {x.shape}: must be at least {taps} pixels with padding = 'VALID'"
        )
    return Geometry(stride, taps, size, small)
