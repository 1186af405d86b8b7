"""Floating-point operations of a training step, counted from the shapes of its layers.

Only matrix products and convolutions count, with two operations per multiply-add. Activations,
losses and the optimizer would add a few per cent.
"""

from collections.abc import Sequence


def dense(inputs: int, outputs: int) -> int:
    """Multiply-adds of a dense layer, per example."""
    return inputs * outputs


def lookup() -> int:
    """Multiply-adds of rows of a table: none."""
    return 0


def conv(size: int, cin: int, cout: int, *, kernel: int = 4, stride: int = 2) -> int:
    """Multiply-adds of a "SAME" convolution or transposed convolution, per example.

    Taps on the padding are not counted, as in XLA's cost analysis.

    Args:
      size: side of the large image in pixels: the input, or the output of a transposed convolution.
      cin: channels of the input.
      cout: channels of the output.
      kernel: taps per side.
      stride: pixels of the large image per pixel of the small one.
    """
    low = max(kernel - stride, 0) // 2
    pairs = sum(
        0 <= p * stride + i - low < size for p in range(-(-size // stride)) for i in range(kernel)
    )
    return pairs**2 * cin * cout


def forward(layers: Sequence[int]) -> int:
    """Operations of the forward pass, per example: two per multiply-add."""
    return 2 * sum(layers)


def training(layers: Sequence[int]) -> int:
    """Operations of a training step, per example.

    The backward pass repeats the work of each layer twice, for the gradients of its weights and of
    its input. The first layer has no gradient of its input, the data.
    """
    return 2 * (3 * sum(layers) - layers[0])
