"""The importance-weighted likelihood of 784-400-20, compared with pythae's `get_nll`.

python -m benchmarks.likelihood --rounds=3 [--out=F]

Each side estimates log p(x) of `--images` images with `--samples` draws each, in its own process
and with random weights, which cost the same as trained ones. The output is the time per draw and
image, and an extrapolation to the 10,000 images x 5,000 samples of a paper. pythae runs the encoder
for each image and each batch of draws. It gets the fastest of several batch sizes, and fewer images
because it is slow. Compilation is excluded and shown separately, as the first call. Both use the
GPU if there is one.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

from benchmarks import machine
from benchmarks.rounds import alternating

PIXELS, HIDDEN, LATENT = 784, 400, 20
WHOLE = 10_000 * 5_000
PYTHAE_BATCHES = (100, 500, 1_000)


def ours(images: int, samples: int) -> dict[str, float]:
    """Seconds of the second call, and of the compilation before it."""
    import jax
    import jax.numpy as jnp

    from vae_jax import VAE, likelihoods, nets, posteriors, priors
    from vae_jax.data import ArraySource
    from vae_jax.evaluation.likelihood import make_likelihoods

    model = VAE(
        encoder=nets.MLP((HIDDEN,)),
        decoder=nets.MLP((HIDDEN,)),
        posterior=posteriors.DiagGaussianHead(LATENT),
        prior=priors.StandardNormal(LATENT),
        likelihood=likelihoods.Bernoulli((28, 28, 1)),
    )
    x = jax.random.bernoulli(jax.random.key(0), 0.13, (images, 28, 28, 1)).astype(jnp.uint8)
    params = model.init(jax.random.key(1), x[:1].astype(jnp.float32), jax.random.key(2))
    estimate = make_likelihoods(model, num_samples=samples)
    seconds = []
    for key in range(2):
        start = time.perf_counter()
        result = estimate(params, ArraySource(x), jax.random.key(key))
        seconds.append(time.perf_counter() - start)
    return {"seconds": seconds[1], "first": seconds[0], "log_px": float(result.log_px.mean())}


def pythae(images: int, samples: int) -> dict[str, float]:
    """Seconds of `get_nll`, at the batch size that is fastest for one image."""
    import torch
    from pythae.models import VAE, VAEConfig

    from benchmarks.contestants.pythae_step import Decoder, Encoder
    from benchmarks.torch_models import mlp

    torch.manual_seed(0)
    encoder, decoder = mlp(PIXELS, HIDDEN, LATENT)
    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=LATENT, reconstruction_loss="bce")
    where = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = VAE(config, Encoder(encoder), Decoder(decoder)).to(where).eval()
    x = (torch.rand(images, 1, 28, 28) < 0.13).float().to(where)

    def timed(x: "torch.Tensor", batch_size: int) -> tuple[float, float]:
        start = time.perf_counter()
        with torch.no_grad():
            log_px = model.get_nll(x, n_samples=samples, batch_size=batch_size)
        return time.perf_counter() - start, float(log_px)

    sizes = [size for size in PYTHAE_BATCHES if samples % size == 0]
    timed(x[:1], sizes[0])
    best = min(sizes, key=lambda size: timed(x[:1], size)[0])
    seconds, log_px = timed(x, best)
    return {"seconds": seconds, "batch_size": best, "log_px": log_px}


SIDES = {"ours": ours, "pythae": pythae}


def run_side(side: str, args: argparse.Namespace) -> dict[str, float]:
    """The result of a side in a separate process."""
    command = [sys.executable, "-m", "benchmarks.likelihood", f"--side={side}"]
    options = ("samples", "images", "pythae_images")
    command += [f"--{name}={getattr(args, name)}" for name in options]
    process = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(process.stdout.splitlines()[-1])


def main() -> None:
    """Run both sides in turn, each in its own process; odd rounds reverse the order."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--pythae_images", type=int, default=20)
    parser.add_argument("--samples", type=int, default=5_000)
    parser.add_argument("--out", type=pathlib.Path, help="new JSON file for the numbers")
    parser.add_argument("--side", choices=SIDES, help="run this side in this process (internal)")
    args = parser.parse_args()
    images = {"ours": args.images, "pythae": args.pythae_images}
    if args.side:
        print(json.dumps(SIDES[args.side](images[args.side], args.samples)))
        return
    machine.check_out(args.out)
    record = machine.provenance(sys.argv[1:])
    minutes: dict[str, list[float]] = {side: [] for side in SIDES}
    for number, order in enumerate(alternating(SIDES, args.rounds)):
        for side in order:
            result = run_side(side, args)
            draw = result["seconds"] / (images[side] * args.samples)
            minutes[side].append(draw * WHOLE / 60)
            print(
                f"round {number}  {side:7s} {images[side]:6d} images  {1e6 * draw:7.2f} us/draw",
                result,
                sep="  ",
                flush=True,
            )
    for side, values in minutes.items():
        print(f"{side:7s} extrapolated to 10,000 images x 5,000 samples: {min(values):.2f} minutes")
    share = min(minutes["ours"]) / min(minutes["pythae"])
    print(f"share {share:.2f} of pythae's time, of the fastest rounds")
    if args.out:
        from vae_jax.files import write_json  # imports JAX, at the end as in `benchmarks.main`

        numbers = {"samples": args.samples, "images": images, "minutes": minutes, "share": share}
        write_json(args.out, record | {"rounds": args.rounds, "likelihood": numbers})


if __name__ == "__main__":
    main()
