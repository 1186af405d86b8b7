"""Write disentanglement.npz (inputs) and .json (scores), in plain numpy from the papers' formulas.

Nothing of vae_jax is used: `python tests/evaluation/golden/make_disentanglement.py`, a minute.
Random scores use their own draws
and agree within their standard error; but SAP and explicitness name their split:
order = default_rng(0).permutation(N), train = order[:800], eval = order[800:].
"""

import json
import pathlib

import numpy as np

HERE = pathlib.Path(__file__).parent
SIZES = (3, 4, 5)
COPIES = 20


def make_inputs():
    rng = np.random.default_rng(2020)
    grid = np.array([(a, b, c) for a in range(3) for b in range(4) for c in range(5)] * COPIES)
    u = grid / (np.array(SIZES) - 1.0) * 2 - 1
    noise = rng.standard_normal((len(grid), 4))
    codes = np.stack(
        [
            u[:, 0] + 0.3 * noise[:, 0],
            u[:, 1] + 0.5 * u[:, 2] + 0.2 * noise[:, 1],
            np.sin(2 * u[:, 2]) + 0.3 * noise[:, 2],
            0.04 * noise[:, 3],
        ],
        axis=1,
    )
    logvar = np.array([-3.0, -4.0, -2.5, -0.1]) + 0.3 * rng.standard_normal(codes.shape)
    turned = [
        codes,
        codes[:, [2, 0, 1, 3]] * [1, -1, 1, 1],
        codes @ np.linalg.qr(rng.standard_normal((4, 4)))[0],
    ]
    models = [(z + 0.2 * rng.standard_normal(z.shape))[:300] for z in turned]
    kls = [[1.2, 1.5, 0.9, 0.005], [0.9, 1.2, 1.5, 0.008], [1.0, 1.1, 1.2, 0.3]]
    single = [np.float64(np.float32(z)) for z in (codes, logvar, np.stack(models))]
    return grid, *single, np.array(kls)


def table(a, b):
    return np.array([[np.mean((a == i) & (b == j)) for j in np.unique(b)] for i in np.unique(a)])


def entropy(p):
    p = np.ravel(p)
    return -sum(q * np.log(q) for q in p if q > 0)


def in_bins(z, bins=20):
    width = (z.max() - z.min()) / bins
    return np.array([min(bins - 1, int((value - z.min()) / width)) for value in z])


def mutual_informations(codes, factors):
    out = np.zeros((codes.shape[1], factors.shape[1]))
    for j, k in np.ndindex(out.shape):
        p = table(in_bins(codes[:, j]), factors[:, k])
        out[j, k] = entropy(p.sum(0)) + entropy(p.sum(1)) - entropy(p)
    return out


def mig(information, entropies):
    gaps = []
    for k in range(information.shape[1]):
        first, second = sorted(information[:, k])[::-1][:2]
        gaps.append((first - second) / entropies[k])
    return np.mean(gaps)


def modularity(information):
    scores = []
    for row in information:
        best = np.argmax(row)
        wrong = sum(value**2 for k, value in enumerate(row) if k != best)
        scores.append(1 - wrong / (row[best] ** 2 * (len(row) - 1)))
    return np.mean(scores)


def mixture_entropy(mean, logvar):
    """Differential entropy of an equal mixture of Gaussians, by the trapezoid rule."""
    z = np.linspace(
        mean.min() - 8 * np.exp(logvar.max() / 2), mean.max() + 8 * np.exp(logvar.max() / 2), 6001
    )
    density = np.zeros_like(z)
    for m, v in zip(mean, logvar, strict=True):
        density += np.exp(-((z - m) ** 2) / (2 * np.exp(v))) / np.sqrt(2 * np.pi * np.exp(v))
    density /= len(mean)
    return np.trapezoid(-density * np.log(np.maximum(density, 1e-300)), z)


def chen(codes, logvar, factors, which):
    information = np.zeros((codes.shape[1], len(which)))
    for j in range(codes.shape[1]):
        marginal = mixture_entropy(codes[:, j], logvar[:, j])
        for place, k in enumerate(which):
            masks = [factors[:, k] == v for v in range(SIZES[k])]
            information[j, place] = marginal - np.mean(
                [mixture_entropy(codes[m, j], logvar[m, j]) for m in masks]
            )
    return mig(information, [np.log(SIZES[k]) for k in which])


def irs(codes, factors, quantile):
    total, weights = 0.0, 0.0
    for z in codes.T:
        most = max(abs(z - z.mean()))
        robust = []
        for g in factors.T:
            deviations = [
                np.quantile(abs(z[g == v] - z[g == v].mean()), quantile) for v in np.unique(g)
            ]
            robust.append(1 - np.mean(deviations) / most)
        total, weights = total + most * max(robust), weights + most
    return total / weights


def concentration(importance):
    """Disentanglement of a table [D, F]; its transpose gives completeness."""
    total = 0.0
    for row in importance:
        p = row / row.sum()
        total += row.sum() / importance.sum() * (1 - entropy(p) / np.log(len(p)))
    return total


def factor_vae(codes, factors, rng, num=20000, size=4):
    scale = codes.std(0)
    kept = [j for j in range(codes.shape[1]) if scale[j] >= 0.05]
    votes = np.zeros((2, len(kept), 3))
    for which in (0, 1):
        for _ in range(num):
            k = rng.integers(3)
            rows = np.flatnonzero(factors[:, k] == rng.integers(SIZES[k]))
            z = codes[rng.choice(rows, size)][:, kept]
            votes[which, np.argmin(z.var(0) / scale[kept] ** 2), k] += 1
    return sum(votes[1, d, np.argmax(votes[0, d])] for d in range(len(kept))) / num


def logistic(x, y, c=1.0):
    """w, b of min 1/2 |w|^2 + c sum log(1 + exp(-t (x w + b))), t = +-1, by Newton."""
    a = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    penalty = np.diag([1.0] * x.shape[1] + [0.0])
    w = np.zeros(a.shape[1])
    for _ in range(100):
        p = 1 / (1 + np.exp(-a @ w))
        step = np.linalg.solve(
            penalty + c * (a * (p * (1 - p))[:, None]).T @ a, penalty @ w + c * a.T @ (p - y)
        )
        w -= step
        if abs(step).max() < 1e-12:
            break
    return w[:-1], w[-1]


def beta_vae(codes, factors, rng, num=10000, pairs=4):
    points, labels = [], []
    for _ in range(2 * num):
        k = rng.integers(3)
        first = rng.integers(len(codes), size=pairs)
        second = [rng.choice(np.flatnonzero(factors[:, k] == factors[i, k])) for i in first]
        points.append(abs(codes[first] - codes[second]).mean(0))
        labels.append(k)
    x, y = np.array(points), np.array(labels)
    fits = [logistic(x[:num], 1.0 * (y[:num] == k)) for k in range(3)]
    return np.mean(np.argmax([x[num:] @ w + b for w, b in fits], axis=0) == y[num:])


def area(scores, positive):
    """The chance that a positive scores above a negative."""
    difference = scores[positive][:, None] - scores[~positive][None]
    return np.mean((difference > 0) + 0.5 * (difference == 0))


def explicitness(codes, factors, train, rest):
    x = (codes - codes[train].mean(0)) / codes[train].std(0)
    areas = []
    for k, size in enumerate(SIZES):
        fits = [logistic(x[train], 1.0 * (factors[train, k] == v)) for v in range(size)]
        p = np.array([1 / (1 + np.exp(-(x[rest] @ w + b))) for w, b in fits])
        p /= p.sum(0)
        areas.append(np.mean([area(p[v], factors[rest, k] == v) for v in range(size)]))
    return np.mean(areas)


def machine(x, positive, c_positive, c_negative):
    """w, b of min (w^2 + b^2) / 2 + sum c max(0, 1 - t (w x + b))^2, t = +-1, by Newton."""
    a = np.stack([x, np.ones_like(x)], axis=1)
    t, c = np.where(positive, 1.0, -1.0), np.where(positive, c_positive, c_negative)
    w = np.zeros(2)
    for _ in range(200):
        inside = 1 - t * (a @ w) > 0
        b = a[inside] * (2 * c[inside])[:, None]
        w_new = np.linalg.solve(np.eye(2) + b.T @ a[inside], b.T @ t[inside])
        if np.allclose(w_new, w, atol=1e-14):
            break
        w = w_new
    return w


def sap(codes, factors, train, rest):
    accuracy = np.zeros((codes.shape[1], len(SIZES)))
    for j, k in np.ndindex(accuracy.shape):
        z, y = codes[train, j], factors[train, k]
        weights = [len(y) / (SIZES[k] * np.sum(y == v)) for v in range(SIZES[k])]
        fits = [machine(z, y == v, 0.01 * weights[v], 0.01) for v in range(SIZES[k])]
        accuracy[j, k] = np.mean(
            np.argmax([w * codes[rest, j] + b for w, b in fits], axis=0) == factors[rest, k]
        )
    top = np.sort(accuracy, axis=0)
    return np.mean(top[-1] - top[-2])


def lasso(x, y, alpha=0.1):
    """min |y - x w|^2 / (2 n) + alpha |w|_1, by coordinate descent; x standardized."""
    w = np.zeros(x.shape[1])
    for _ in range(2000):
        for j in range(len(w)):
            if x[:, j].any():
                rho = np.mean(x[:, j] * (y - x @ w + x[:, j] * w[j]))
                w[j] = np.sign(rho) * max(abs(rho) - alpha, 0)
    return abs(w)


def udr(models, kls, method):
    kept = [kl > 0.01 for kl in kls]
    models = [(z - z.mean(0)) / z.std(0) * keep for z, keep in zip(models, kept, strict=True)]
    scores = np.zeros((len(models), len(models)))
    for i, j in np.ndindex(scores.shape):
        r = np.zeros((4, 4))
        for b in range(4):
            if method == "lasso":
                r[:, b] = lasso(models[i], models[j][:, b])
            else:
                ranks = [np.argsort(np.argsort(z)) for z in (*models[i].T, models[j][:, b])]
                r[:, b] = abs(np.corrcoef(ranks)[-1, :-1])
        r = r[kept[i]][:, kept[j]]
        columns = [max(c) ** 2 / c.sum() if c.sum() else 0 for c in r.T]
        rows = [max(c) ** 2 / c.sum() if c.sum() else 0 for c in r]
        scores[i, j] = (np.mean(columns) + np.mean(rows)) / 2
    return [
        np.median([scores[j, i] for j in range(len(models)) if j != i]) for i in range(len(models))
    ]


def main():
    factors, codes, logvar, models, kls = make_inputs()
    order = np.random.default_rng(0).permutation(len(codes))
    train, rest = order[:800], order[800:]
    information = mutual_informations(codes, factors)
    importance = np.array([[4.0, 1.0, 0.0], [0.0, 2.0, 2.0], [0.5, 0.1, 3.0], [1e-3, 0.0, 0.0]])
    numbers = {
        "mutual_information": information.tolist(),
        "mig_locatello": mig(information, np.log(SIZES)),
        "modularity": modularity(information),
        "irs": irs(codes, factors, 0.99),
        "irs_quantile_1": irs(codes, factors, 1.0),
        "mig_chen": chen(codes, logvar, factors, (0, 1, 2)),
        "mig_chen_without_the_first": chen(codes, logvar, factors, (1, 2)),
        "importance": importance.tolist(),
        "disentanglement": concentration(importance),
        "completeness": concentration(importance.T),
        "factor_vae_of_batches_of_4": factor_vae(codes, factors, np.random.default_rng(1)),
        "beta_vae_of_4_pairs": beta_vae(codes, factors, np.random.default_rng(2)),
        "explicitness": explicitness(codes, factors, train, rest),
        "sap": sap(codes, factors, train, rest),
        "udr_lasso": udr(models, kls, "lasso"),
        "udr_spearman": udr(models, kls, "spearman"),
    }
    arrays = {"factors": np.int8(factors), "kls": kls}
    arrays |= {
        name: np.float32(z)
        for name, z in (("codes", codes), ("logvar", logvar), ("models", models))
    }
    np.savez_compressed(HERE / "disentanglement.npz", **arrays)
    (HERE / "disentanglement.json").write_text(json.dumps(numbers, indent=1) + "\n")


if __name__ == "__main__":
    main()
