"""Multiply-adds per example of each layer of the networks, in order; see `flops.training`.

The activations and densities between them are not counted.
"""

from benchmarks.flops import conv, dense, lookup

MLP = (dense(784, 400), dense(400, 2 * 20), dense(20, 400), dense(400, 784))

BURGESS = (
    *(conv(64, 1, 32), conv(32, 32, 32), conv(16, 32, 64), conv(8, 64, 64)),
    *(dense(1024, 256), dense(256, 2 * 10), dense(10, 256), dense(256, 1024)),
    *(conv(8, 64, 64), conv(16, 64, 32), conv(32, 32, 32), conv(64, 32, 1)),
)

_VQ_BLOCKS = 2 * (conv(8, 128, 32, kernel=3, stride=1), conv(8, 32, 128, kernel=1, stride=1))
VQ = (  # without the code lookup, a product with no backward pass and 1 % of the work
    *(conv(32, 3, 64), conv(16, 64, 128), conv(8, 128, 128, kernel=3, stride=1), *_VQ_BLOCKS),
    *(conv(8, 128, 64, kernel=1, stride=1), conv(8, 64, 128, kernel=3, stride=1), *_VQ_BLOCKS),
    *(conv(16, 128, 64), conv(32, 64, 3)),
)

# The 1x1 convolutions of a stochastic layer, besides its block.
_LADDER_LINEAR = ((32, 32), (32, 32), (32, 2 * 4), (32, 2 * 4), (4, 32))
LADDER = (
    *(conv(28, 1, 32), conv(14, 32, 32)),  # down to 14 and 7 pixels a side
    *(
        conv(size, 32, 32, kernel=kernel, stride=1)
        for size in (14, 7)
        for kernel in (3, 1)
        for _ in range(2)
    ),
    *(
        conv(size, cin, cout, kernel=1, stride=1)
        for size in (14, 7)
        for cin, cout in _LADDER_LINEAR
    ),
    conv(28, 32, 1),
)

_GATED_ENCODER = (dense(784, 2 * 300), dense(300, 2 * 300), dense(300, 2 * 40))
VAMP = (
    *_GATED_ENCODER,
    *(dense(40, 2 * 300), dense(300, 2 * 300), dense(300, 784)),
    *(500 * layer // 100 for layer in _GATED_ENCODER),  # 500 pseudo-inputs in a batch of 100
)

IWAE = (
    *(dense(784, 200), dense(200, 200), dense(200, 2 * 50)),
    *(50 * layer for layer in (dense(50, 200), dense(200, 200), dense(200, 784))),
)

# Products of the states. Those of the embeddings can be done once for each token of the alphabet.
SEQUENCE = (
    *(lookup(), 2 * 48 * dense(256, 3 * 256), dense(2 * 256, 2 * 32)),
    *(dense(32, 512), dense(32, 3 * 512)),
    *(48 * dense(512, 3 * 512), 48 * dense(512, 32)),
)
