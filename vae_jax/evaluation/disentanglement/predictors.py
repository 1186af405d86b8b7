"""Scores from predictors of the factors: DCI, SAP and explicitness."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from vae_jax.errors import InputError
from vae_jax.evaluation.disentanglement.inputs import Seed, sklearn_seed, split, validate_codes

if TYPE_CHECKING:  # slow to import, and so imported by the functions that need it
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier

MIN_EXAMPLES = 10

# Codes and factors for training, codes and factors for evaluation.
Split = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def random_forest(seed: int) -> "RandomForestClassifier":
    """Thirty trees of depth 8 with at least 20 examples per leaf.

    They take seconds; boosted trees take many minutes. Small leaves, as in a forest of full depth,
    would give noise codes a share of the importance.
    """
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(
        30, max_features=None, max_depth=8, min_samples_leaf=20, random_state=seed
    )


def boosted_trees(seed: int) -> "GradientBoostingClassifier":
    """scikit-learn's defaults, as in disentanglement_lib: 100 trees per value of a factor; slow."""
    from sklearn.ensemble import GradientBoostingClassifier

    return GradientBoostingClassifier(random_state=seed)


def dci(
    codes: np.ndarray,
    factors: np.ndarray,
    *,
    classifier: Callable[[int], Any] = random_forest,
    num_train: int = 10_000,
    num_eval: int = 5_000,
    seed: Seed = 0,
) -> dict[str, float]:
    """Disentanglement, completeness and informativeness.

    With R_jk >= 0 the importance of code j to the classifier of factor k, of D codes and F factors,

        disentanglement = sum_j rho_j (1 + sum_k P_jk log_F P_jk),    P_jk = R_jk / sum_k' R_jk',
        completeness = sum_k rho_k (1 + sum_j Q_jk log_D Q_jk),       Q_jk = R_jk / sum_j' R_j'k,

    with rho the share of the total importance of a code or factor; informativeness is the mean
    accuracy over the factors, on separate examples. Eastwood and Williams, 2018,
    https://openreview.net/forum?id=By-7dz-AZ, use regression with Lasso and random forests.
    Locatello et al., 2019, classify with boosted trees: `classifier=boosted_trees`. The default is
    a forest, which takes 6 s instead of 250 s and gives different numbers. Disentanglement,
    completeness and informativeness of the forest and of boosted trees, both on 10,000 and 5,000
    examples:

        ten codes like a VAE's, four factors of dSprites   0.51, 0.54, 0.48    0.51, 0.53, 0.48
        a random rotation of the factors in ten codes      0.57, 0.44, 0.62    0.48, 0.39, 0.61
        two factors of 3 and 6 values, mixed, five codes   0.68, 0.66, -       0.81, 0.76, -

    Only compare scores of the same classifier and number of examples: with 800 examples of another
    mixture, disentanglement was 0.64 and 0.49.

    Codes without any importance give 0 and 0. Disentanglement is 1 for a single factor,
    completeness for a single code.

    Args:
      codes: [N, D].
      factors: integers [N, F].
      classifier: maps a seed to a scikit-learn classifier with `feature_importances_`.
      num_train: examples to fit to; reduced in proportion if there are fewer than num_train +
        num_eval.
      num_eval: examples to score on.
      seed: seed of the split and the classifiers.
    """
    rng = np.random.default_rng(seed)
    x, y, x_eval, y_eval = _split(codes, factors, num_train, num_eval, rng)
    importance, accuracy = np.zeros((x.shape[1], y.shape[1])), []
    for k in range(y.shape[1]):
        fitted = classifier(sklearn_seed(rng)).fit(x, y[:, k])
        importance[:, k] = np.abs(fitted.feature_importances_)
        accuracy.append(fitted.score(x_eval, y_eval[:, k]))
    return {
        "disentanglement": concentration(importance),
        "completeness": concentration(importance.T),
        "informativeness": float(np.mean(accuracy)),
    }


def concentration(importance: np.ndarray) -> float:
    """sum_j rho_j (1 + sum_k P_jk log_F P_jk) of a table [D, F].

    It is 1 if each row has one nonzero entry, and 0 if all entries of a row are equal.
    """
    total = importance.sum()
    if total == 0:
        return 0.0
    if importance.shape[1] == 1:
        return 1.0
    rows = importance.sum(axis=1, keepdims=True)
    p = importance / np.where(rows > 0, rows, 1)
    entropy = -np.sum(p * np.log(np.where(p > 0, p, 1)), axis=1) / np.log(importance.shape[1])
    return float(np.sum(rows[:, 0] / total * (1 - entropy)))


def sap(
    codes: np.ndarray,
    factors: np.ndarray,
    *,
    num_train: int = 10_000,
    num_eval: int = 5_000,
    seed: Seed = 0,
) -> float:
    """Separated attribute predictability (SAP).

    With S_jk the accuracy, on separate examples, of predicting factor k from code j alone, and
    S_(1)k, S_(2)k the two largest over the codes,

        SAP = mean_k (S_(1)k - S_(2)k).

    Kumar, Sattigeri and Balakrishnan, 2018, https://openreview.net/forum?id=H1kG7GZAW. As in
    disentanglement_lib for discrete factors: a linear support vector machine, C = 0.01 and balanced
    classes, on unscaled codes. A linear model separates at most two groups from the rest, so even a
    perfect code predicts a factor of many values badly. The runner-up of a single code is constant.
    Arguments, codes [N, D] and factors [N, F], as for `dci`.
    """
    from sklearn.svm import LinearSVC

    rng = np.random.default_rng(seed)
    x, y, x_eval, y_eval = _split(codes, factors, num_train, num_eval, rng)
    if x.shape[1] == 1:
        x, x_eval = (np.pad(values, ((0, 0), (0, 1))) for values in (x, x_eval))
    state, accuracy = sklearn_seed(rng), np.zeros((x.shape[1], y.shape[1]))
    for j, k in np.ndindex(accuracy.shape):
        svm = LinearSVC(C=0.01, class_weight="balanced", dual=False, random_state=state)
        svm.fit(x[:, [j]], y[:, k])
        accuracy[j, k] = svm.score(x_eval[:, [j]], y_eval[:, k])
    ascending = np.sort(accuracy, axis=0)
    return float(np.mean(ascending[-1] - ascending[-2]))


def explicitness(
    codes: np.ndarray,
    factors: np.ndarray,
    *,
    one_vs_rest: bool = True,
    num_train: int = 10_000,
    num_eval: int = 5_000,
    seed: Seed = 0,
) -> float:
    """Explicitness: the area under the ROC curve of logistic regression for factor values.

    With A_kv the area under the curve of the probability of value v of factor k, on separate
    examples,

        explicitness = mean_k mean_v A_kv,

    0.5 at chance. Ridgeway and Mozer, 2018, https://arxiv.org/abs/1802.05312. As in
    disentanglement_lib, codes are standardized, and the probabilities of the values sum to one.
    Values that don't occur in the scored examples are ignored.

    Args:
      codes: [N, D].
      factors: integers [N, F].
      one_vs_rest: fit a regression for each value against the rest, as in the paper and by
        scikit-learn's default at the time of Locatello et al., 2019: liblinear, which penalizes the
        bias too. A linear model predicts values
        in the middle of a factor less well: codes equal to the dSprites factors score 0.94. If
        False, fit one regression for all values, today's default.
      num_train: examples to fit to; reduced in proportion if there are fewer than num_train +
        num_eval.
      num_eval: examples to score on.
      seed: seed of the split.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.multiclass import OneVsRestClassifier

    x, y, x_eval, y_eval = _split(codes, factors, num_train, num_eval, np.random.default_rng(seed))
    mean, stddev = x.mean(axis=0), x.std(axis=0)
    stddev = np.where(np.ptp(x, axis=0) > 0, stddev, 1)
    x, x_eval = (x - mean) / stddev, (x_eval - mean) / stddev
    areas = []
    for k in range(y.shape[1]):
        if one_vs_rest:
            regression = LogisticRegression(solver="liblinear", max_iter=1000)
            fitted = OneVsRestClassifier(regression).fit(x, y[:, k])
        else:
            fitted = LogisticRegression(max_iter=1000).fit(x, y[:, k])
        probability = fitted.predict_proba(x_eval)
        masks = [y_eval[:, k] == value for value in fitted.classes_]
        pairs = zip(masks, probability.T, strict=True)
        aucs = [roc_auc_score(mask, p) for mask, p in pairs if 0 < mask.sum() < len(mask)]
        areas.append(np.mean(aucs))
    return float(np.mean(areas))


def _split(
    codes: np.ndarray, factors: np.ndarray, num_train: int, num_eval: int, rng: np.random.Generator
) -> Split:
    codes, factors = validate_codes(codes, factors)
    if len(codes) < MIN_EXAMPLES or min(num_train, num_eval) < 2:
        raise InputError(
            f"{len(codes)} examples, {num_train} to train on, {num_eval} to score on: too few"
        )
    train, rest = split(len(codes), num_train, num_eval, rng)
    for name, part in (("train on", factors[train]), ("score on", factors[rest])):
        if (part == part[0]).all(axis=0).any():
            raise InputError(
                f"{len(part)} examples to {name}: a factor has one value in all of them; use more"
            )
    return codes[train], factors[train], codes[rest], factors[rest]
