"""The data of a config: errors name its fields, and labels are compatible with the model."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from vae_jax.config import Config
from vae_jax.config.validation import check
from vae_jax.errors import Argument, InputError, prefix_arguments
from vae_jax.experiment import builders
from vae_jax.experiment.metrics import requirements
from vae_jax.experiment.run import make_runs
from vae_jax.experiment.validation import validate


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            InputError.of("path", "x.npz", "no such file"),
            "config.data.path = 'x.npz': no such file",
        ),
        (InputError(Argument("path"), ": damaged"), "config.data.path: damaged"),
        (
            InputError("path: too large; set a smaller ", Argument("image_size")),
            "path: too large; set a smaller config.data.image_size",
        ),
        (InputError("path = 3: of another caller"), "path = 3: of another caller"),
        (InputError.of("path", 3, "bad").under("config.data"), "config.data.path = 3: bad"),
    ],
)
def test_errors_of_the_library_name_the_field(error, expected) -> None:
    plain = "".join(error.parts)
    assert str(error) == plain
    with pytest.raises(InputError) as raised, prefix_arguments("config.data"):
        raise error
    assert str(raised.value) == expected


def test_other_errors_are_unchanged() -> None:
    with pytest.raises(KeyError, match="path"), prefix_arguments("config.data"):
        raise KeyError("path = 3")


def npz_config(path, **fields) -> Config:
    config = Config()
    config.data.name, config.data.path = "npz", str(path)
    for name, value in fields.items():
        setattr(config.data, name, value)
    return config


def test_a_remedy_names_the_field(tmp_path) -> None:
    images = np.full((20, 4), 300, np.int64)
    np.savez(tmp_path / "large.npz", train_images=images, test_images=images)
    with pytest.raises(InputError, match=r"counts need config\.data\.values = 'counts'\)$"):
        builders.build_data(npz_config(tmp_path / "large.npz"))
    np.savez(tmp_path / "one.npz", train_images=images)
    with pytest.raises(InputError, match=r"; config\.data\.streaming = True needs it"):
        builders.build_data(npz_config(tmp_path / "one.npz", streaming=True))
    config = npz_config(tmp_path / "one.npz", values="counts", binarization="static")
    with pytest.raises(
        InputError,
        match=r"^config\.data\.binarization = 'static': must be 'none' for config\.data\.values",
    ):
        builders.build_data(config)
    folder = tmp_path / "images"
    folder.mkdir()
    for name, side in (("a", 4), ("b", 5)):
        Image.new("L", (side, side)).save(folder / f"{name}.png")
    with pytest.raises(InputError, match=r"or set config\.data\.image_size to resize"):
        builders.build_data(npz_config(folder))
    with pytest.raises(InputError, match=r"set config\.data\.dir to the directory|unknown"):
        builders.build_data(Config(data=dataclasses.replace(Config().data, name="mnist", dir="/x")))


def test_objects_in_an_archive_are_named(tmp_path) -> None:
    images = np.zeros((20, 4), np.uint8)
    path = tmp_path / "objects.npz"
    labels = np.array([{}] * 20, dtype=object)
    np.savez(path, train_images=images, train_labels=labels, test_images=images)
    with pytest.raises(InputError, match=r"path = .*\(train_labels holds objects, not numbers"):
        builders.build_data(npz_config(path))


@pytest.mark.parametrize(
    ("network", "stack", "beginning"),
    [
        ("conv", "1x1 4x2", "config.model.network = 'conv': needs images [H, W, C]"),
        ("conv", "2x1 1x1", "config.hierarchy.stack = '2x1 1x1': resolutions must grow"),
        ("mlp", "", "config.hierarchy.latents = (2,): must have the length of config.hierarchy."),
    ],
)
def test_errors_about_a_ladder_name_its_fields(network, stack, beginning) -> None:
    config = Config()
    config.model.kind, config.model.network = "hierarchical", network
    config.hierarchy.stack, config.hierarchy.latents = stack, (2,)
    shape = (8, 8, 1) if stack.startswith("2") else (64,)
    with pytest.raises(InputError) as error:
        builders.build_model(config, shape)
    assert str(error.value).startswith(beginning)


def test_errors_about_separate_networks_name_their_fields() -> None:
    config = Config()
    config.model.kind, config.hierarchy.networks = "hierarchical", "separate"
    config.model.prior, config.model.prior_width = "autoregressive", 8
    with pytest.raises(
        InputError, match=r"prior_width = 8: must be at least config\.hierarchy\.latents\[0\] = 10"
    ):
        check(config)
    config.hierarchy.latents = ()
    with pytest.raises(InputError, match=r"^config\.hierarchy\.latents = \(\): must have at"):
        builders.build_model(config, (64,))


def test_an_unusable_path_names_the_field() -> None:
    config = Config()
    config.data.name = "npz"
    config.data.path = "/nonexistent.npz"
    with pytest.raises(InputError, match=r"^config\.data\.path = '/nonexistent\.npz': no such"):
        builders.build_data(config)


def semi_supervised(tmp_path, labels: np.ndarray) -> Config:
    images = np.zeros((20, 4), np.uint8)
    path = tmp_path / "set.npz"
    np.savez(path, train_images=images, train_labels=labels, test_images=images, test_labels=labels)
    config = Config()
    config.data.name = "npz"
    config.data.path = str(path)
    config.data.num_labels = 9
    config.train.batch_size = 2
    config.objective.name = "m2"
    config.model.conditioning = "label"
    config.model.num_classes = 2
    return config


def test_examples_without_label_are_no_class_of_their_own(tmp_path) -> None:
    config = semi_supervised(tmp_path, np.arange(20) % 2)
    validate(config)
    dataset = builders.build_data(config)
    validate(config, dataset)
    assert (np.asarray(dataset.train.labels) == -1).sum() == dataset.train.num_examples - 9


def test_labels_that_are_no_classes_are_refused(tmp_path) -> None:
    config = semi_supervised(tmp_path, np.arange(20) % 3)
    with pytest.raises(InputError, match=r"num_classes = 2: .* has labels from 0 to 2"):
        validate(config, builders.build_data(config))
    config = semi_supervised(tmp_path, np.arange(20) % 2 - 2)  # -1 alone means no label
    with pytest.raises(InputError, match=r"num_labels = 9: .* has labels below 0"):
        builders.build_data(config)


def test_own_examples_without_a_label_are_those_of_m2(tmp_path) -> None:
    labels = np.where(np.arange(20) < 14, np.arange(20) % 2, -1)
    config = semi_supervised(tmp_path, labels)
    config.data.num_labels = 0
    dataset = builders.build_data(config)
    validate(config, dataset)
    assert np.sum(np.asarray(dataset.train.labels) == -1) == 6
    assert dataset.preparation["num_labels"] == dataset.train.num_examples - 6
    assert dataset.test.num_examples == 14
    assert dataset.preparation["left_out_of_test"] == 6


@pytest.mark.parametrize(
    ("labels", "remedy"),
    [
        (np.arange(20) % 2 + 1, "save y - 1"),
        (np.arange(20) % 2 * 7, "numpy.unique(y, return_inverse=True)[1]"),
        (np.arange(20) % 3, "it must be at least 3"),
        (np.arange(20) % 2 * 2 - 1, "save (y + 1) // 2"),
        (np.arange(20) % 3 - 1, "only objective 'm2' takes -1"),
        (np.where(np.arange(20) % 4 == 0, 255, np.arange(20) % 2), "save -1 in signed integers"),
    ],
)
def test_labels_of_another_numbering_come_with_the_remedy(tmp_path, labels, remedy) -> None:
    config = semi_supervised(tmp_path, labels)
    config.data.num_labels, config.data.valid_fraction = 0, 0.4
    config.objective.name = "elbo"
    with pytest.raises(InputError) as error:
        validate(config, builders.build_data(config))
    assert remedy in str(error.value)


def test_one_target_per_example_is_a_vector_of_one(tmp_path) -> None:
    config = semi_supervised(tmp_path, np.arange(20)[:, None])
    config.data.num_labels = 0
    config.objective.name = "elbo"
    config.model.conditioning, config.model.num_classes = "vector", 1
    dataset = builders.build_data(config)
    validate(config, dataset)
    assert dataset.train.labels.shape[1:] == (1,)


def npz_of_counts(tmp_path, images, labels) -> Config:
    np.savez(tmp_path / "own.npz", train_images=images, train_labels=labels)
    config = Config()
    config.data.name, config.data.path = "npz", str(tmp_path / "own.npz")
    config.data.valid_fraction = 0.4
    config.data.values, config.model.likelihood = "counts", "poisson"
    config.model.conditioning, config.model.num_classes = "size", 2
    config.train.batch_size = 2
    return config


GROUPS = np.tile([0.0, 1.0], 10)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.stack([np.linspace(0.1, 3, 20), GROUPS], 1), ""),
        (np.stack([np.linspace(0, 3, 20), GROUPS], 1), "has sizes from 0, must be above 0"),
        (
            np.stack([np.ones(20), 1 + GROUPS], 1),
            "groups from 1 to 2, must be integers",
        ),
        (np.ones((20, 3)), r"labels of .* have shape .*, must be \[N, 2\]: size, group"),
    ],
)
def test_sizes_of_counts_are_positive_numbers_with_a_group(tmp_path, labels, message) -> None:
    config = npz_of_counts(tmp_path, np.arange(60).reshape(20, 3), labels)
    dataset = builders.build_data(config)
    if not message:
        validate(config, dataset)
        return
    with pytest.raises(InputError, match=message):
        validate(config, dataset)


def test_sizes_are_of_counts_and_positive_numbers_are_above_zero(tmp_path) -> None:
    config = npz_of_counts(tmp_path, np.arange(60).reshape(20, 3), np.ones((20, 2)))
    config.model.likelihood = "gaussian"
    with pytest.raises(InputError, match="only means of counts have a size"):
        validate(config)
    config.model.conditioning, config.model.num_classes = "none", 10
    config.model.likelihood, config.data.values = "positive", "scaled"
    np.savez(tmp_path / "own.npz", train_images=np.arange(60.0).reshape(20, 3))
    with pytest.raises(InputError, match=r"'positive': needs values above 0, but .* has 0;"):
        validate(config, builders.build_data(config))


def test_degrees_of_freedom_are_in_their_range() -> None:
    config = Config()
    config.model.likelihood, config.model.init_df = "student_t", 1.5
    with pytest.raises(InputError, match=r"config\.model\.init_df = 1\.5"):
        validate(config)
    config.model.df = "fixed"
    validate(config)
    config.model.likelihood = "gaussian"
    with pytest.raises(InputError, match=r"config\.model\.(df|init_df) = .*: does nothing without"):
        validate(config)


def test_the_trials_of_a_sweep_check_their_data_once(tmp_path, monkeypatch) -> None:
    loads = []
    build = builders.build_anomalies
    monkeypatch.setattr(requirements, "build_anomalies", lambda c: loads.append(c) or build(c))
    config = Config()
    config.data.leave_out = 3
    config.evaluation.metrics = ("anomaly",)
    config.sweep.seed = (0, 1, 2)
    assert len(make_runs(config, tmp_path)) == 3
    assert len(loads) == 1


def test_anomalies_must_be_named() -> None:
    config = Config()
    config.evaluation.metrics = ("anomaly",)
    with pytest.raises(InputError, match=r"^config\.evaluation\.anomaly = '': name other data"):
        validate(config)
    config.data.leave_out = 3
    validate(config)


def test_types_of_columns_are_checked_before_the_data_are_loaded() -> None:
    config = Config()
    config.model.likelihood, config.model.columns = "mixed", ("gausian*3",)
    with pytest.raises(InputError, match=r"^config\.model\.columns = .gausian.: unknown; .*gaussi"):
        validate(config)
    config.model.columns = ("categorical:x",)
    with pytest.raises(InputError, match=r"^config\.model\.columns: 'categorical:x': CATEGORIES"):
        validate(config)


@pytest.mark.parametrize("other", ["no/such.npz", "minst"])
def test_errors_about_other_data_name_their_field(other) -> None:
    config = Config()
    config.evaluation.anomaly = other
    with pytest.raises(InputError) as error:
        builders.build_anomalies(config)
    assert str(error.value).startswith(f"config.evaluation.anomaly = '{other}': ")
    assert "config.data." not in str(error.value)


def test_a_table_has_no_order_of_pixels(tmp_path) -> None:
    table = np.arange(120).reshape(20, 6) % 2 == 0
    np.savez(tmp_path / "table.npz", train_images=table, test_images=table)
    config = npz_config(tmp_path / "table.npz")
    config.model.likelihood, config.model.levels, config.train.batch_size = "autoregressive", 2, 4
    with pytest.raises(
        InputError, match=r"^config\.model\.likelihood = 'autoregressive': needs images .* \(6,\)$"
    ):
        validate(config, builders.build_data(config))


@pytest.mark.parametrize("levels", [(), (2,) * 31])
def test_levels_of_codes_fit_into_an_integer(levels) -> None:
    config = Config()
    config.model.kind, config.objective.name = "vq", "vq"
    config.codes.quantizer, config.codes.levels = "fsq", levels
    with pytest.raises(InputError, match=r"^config\.codes\.levels = \(.*\): must be one or more"):
        validate(config)


def test_a_file_without_features_is_named_by_its_field(tmp_path) -> None:
    config = Config()
    config.evaluation.metrics, config.evaluation.features = ("quality",), str(tmp_path / "no.npz")
    with pytest.raises(InputError, match=r"^config\.evaluation\.features = '.*no\.npz': holds no"):
        validate(config, builders.build_data(config))
