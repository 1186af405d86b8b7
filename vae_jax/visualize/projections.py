"""Codes in the plane: principal components, t-SNE and UMAP."""

import importlib.util

import numpy as np

from vae_jax.errors import InputError, check_choice

PROJECTIONS = ("pca", "tsne", "umap")
PERPLEXITY = 30.0
MAX_DENSE = 512  # dimensions; of more, two components are found by iterations
MISSING_UMAP = "needs the package umap-learn, which is not installed (pip install umap-learn)"


def has_umap() -> bool:
    """True if the package umap-learn is installed."""
    return importlib.util.find_spec("umap") is not None


def project(codes: np.ndarray, method: str = "pca") -> tuple[np.ndarray, tuple[str, str], str]:
    """Project codes [N, D] to [N, 2]; also returns the names of the axes and a title.

    pca: the first two principal components, or the codes as they are if D = 2. tsne: t-SNE from
    the principal components (van der Maaten and Hinton, 2008), with a perplexity of 30 or, of few
    examples, (N - 1) / 3. umap: UMAP (McInnes et al., 2018, arXiv:1802.03426) with the defaults of
    umap-learn. The last two do not preserve the distances of the codes. Both are seeded.

    Raises InputError if the method is unknown, or if umap-learn is needed and not installed.
    """
    check_choice("projection", method, PROJECTIONS)
    if method == "tsne" and len(codes) > 3:
        from sklearn.manifold import TSNE  # slow import

        perplexity = min(PERPLEXITY, (len(codes) - 1) / 3)
        init = principal_plane(codes)[0] if codes.shape[1] > 2 else codes
        init = (init / max(float(init[:, 0].std()), 1e-12) * 1e-4).astype(np.float32)
        estimator = TSNE(2, perplexity=perplexity, init=init, random_state=0)
        return estimator.fit_transform(codes), ("t-SNE 1", "t-SNE 2"), ", t-SNE"
    if method == "umap" and len(codes) > 3:
        if not has_umap():
            raise InputError(f"projection = 'umap': {MISSING_UMAP}")
        import umap

        neighbors = min(15, len(codes) - 1)
        estimator = umap.UMAP(n_neighbors=neighbors, random_state=0, n_jobs=1)
        return np.asarray(estimator.fit_transform(codes)), ("UMAP 1", "UMAP 2"), ", UMAP"
    if codes.shape[1] == 2:
        return codes, ("z0", "z1"), ""
    points, shares = principal_plane(codes)
    first, second = (
        f"component {i + 1} ({share:.0%} of variance)" for i, share in enumerate(shares)
    )
    return points, (first, second), ", principal components"


def principal_plane(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Project codes [N, D > 2] onto two principal components: [N, 2] and their variance shares."""
    centered = codes.astype(np.float64) - codes.mean(0, dtype=np.float64)
    total = max(float(np.square(centered).sum()), 1e-300)
    if not centered.any():  # all codes are the same
        vectors = np.eye(2, codes.shape[1])
    elif codes.shape[1] <= MAX_DENSE or len(codes) < 4:
        vectors = np.linalg.svd(centered, full_matrices=False)[2][:2]
    else:
        from scipy.sparse.linalg import svds  # slow import

        # Reproducible: the iterations begin at a fixed vector.
        start = np.random.default_rng(0).normal(size=min(centered.shape))
        vectors = svds(centered, 2, v0=start)[2][::-1]
    points = centered @ vectors.T
    if points.shape[1] < 2:  # a single example
        points = np.pad(points, ((0, 0), (0, 2 - points.shape[1])))
    return points, np.square(points).sum(0) / total
