"""How many floating-point operations a training step must do, counted from the shapes of its layers.

Only matrix products and convolutions count, two operations for a multiplication with its addition. Activations, losses and
the optimizer are left out: next to the products they are a few per cent.
"""

from collections.abc import Sequence


def dense(inputs: int, outputs: int) -> int:
    """Multiply-adds of a dense layer, per example."""
    return inputs * outputs


def conv(size: int, cin: int, cout: int, *, kernel: int = 4, stride: int = 2) -> int:
    """Multiply-adds of a "SAME" convolution or transposed convolution, per example.

    Taps that fall on the padding are not counted, as in XLA's own cost analysis.

    Args:
      size: pixels a side of the large image: the input, or the output of a transposed convolution.
      cin: channels of the input.
      cout: channels of the output.
      kernel: taps a side.
      stride: pixels of the large image for one of the small one.
    """
    low = max(kernel - stride, 0) // 2
    pairs = sum(
        0 <= p * stride + i - low < size for p in range(-(-size // stride)) for i in range(kernel)
    )
    return pairs**2 * cin * cout


def forward(layers: Sequence[int]) -> int:
    """Operations of the forward pass, per example: two for each multiply-add of each layer."""
    return 2 * sum(layers)


def training(layers: Sequence[int]) -> int:
    """Operations of a training step, per example.

    The backward pass does the work of each layer twice more, for the gradient in its weights and the one in its input; the
    input of the first layer is the data, of which no gradient is taken.
    """
    return 2 * (3 * sum(layers) - layers[0])
