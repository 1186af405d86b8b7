"""The tables of speed, and the records that they are made of."""

import json
import pathlib
import sys

import numpy as np
import pytest

from benchmarks import likelihood, machine, speed_pages, speed_tables, startup, streaming
from vae_jax.errors import InputError

HEADER = {
    "command": "python -m benchmarks.main",
    "started": "2026-01-02 03:04:05 UTC",
    "commit": "a" * 40,
    "changed_since_commit": True,
    "machine": {"cpu": "P", "cores": 2, "gpu": "", "load": 0.25, "versions": {"jax": "1"}},
}
NUMBERS = {
    **{"rate": 1200.4, "to_pytorch": None, "share_of_peak": 0.5, "compile_s": 1.0},
    **{"first_step_s": 2.0, "memory_mb": 300.0, "device_memory_mb": 0.0},
}


def record(**parts):
    return HEADER | parts


def training(**more):
    numbers = {name: NUMBERS for name in ("vae_jax", "torch_eager")}
    return record(**{"dtype": "float32", "rounds": 3, "train": {"iwae50": numbers}} | more)


def test_the_documents_are_what_the_command_writes():
    for path, text in speed_pages.render(speed_pages.read_records()).items():
        assert path.read_text() == text, f"run python -m benchmarks.speed_pages for {path.name}"


def test_records_name_no_place():
    for path in speed_pages.RECORDS.glob("*.json"):
        for word in ("/tmp", "/home", "/work", "--out"):
            assert word not in path.read_text()


def test_a_table_of_training():
    peak = {"xla": {"title": "XLA", "rate": 2e11, "size": 1024}}
    text = speed_tables.training({"a": training(peak=peak)})
    assert text.startswith("```bash\npython -m benchmarks.main\n```\n")
    assert "P, 2 cores; jax 1; load at the start 0.25; float32; 3 rounds; date 2026-01-02" in text
    assert "commit aaaaaaaaaa (changed)." in text
    assert "XLA 200 GFLOP/s (size 1024)" in text
    assert "| IWAE 784-200-200-50, k = 50, batch 20 | vae_jax | 1,200 | - | 50.0% |" in text
    assert speed_tables.gpu_training({"a": training()}) == (
        "Not measured yet: `python -m benchmarks.main` measures it."
    )


def test_what_is_unknown_is_not_recorded():
    nobody = {"cpu": None, "cores": None, "gpu": "", "load": None, "versions": {}}
    text = speed_tables.circumstances(record(commit=None, started=None, machine=nobody))
    assert "Machine not recorded; versions not recorded; load at the start not recorded" in text
    assert "date not recorded; commit not recorded." in text
    assert machine.hardware(nobody) == machine.UNKNOWN


def test_the_short_table_has_columns_for_each_gpu():
    gpu = training(machine=HEADER["machine"] | {"gpu": "G"})
    title = "IWAE 784-200-200-50, k = 50"
    both = speed_tables.short_table({"a": gpu, "b": training()}).splitlines()
    assert both[0] == "| model | vae_jax | PyTorch | pythae | vae_jax, G | PyTorch, G |"
    assert both[2:] == [f"| {title} | 1,200 | 1,200 |  | 1,200 | 1,200 |"]
    alone = speed_tables.short_table({"a": gpu, "b": training(dtype="bfloat16")}).splitlines()
    assert alone[2:] == [f"| {title} |  |  |  | 1,200 | 1,200 |"]


def test_a_table_of_processes():
    runs = {"vae_jax": {"seconds": 12.25, "all_seconds": [12.25, 13.0], "memory_mb": None}}
    text = speed_tables.processes({"a": record(steps=2000, process={"sweep": runs})})
    assert "| `sweep`, 2,000 steps | vae_jax | 12.2 | 12.2 13.0 | - |" in text


def run_of(seconds):
    return {"seconds": seconds, "numbers": 3.0, "first_line": 1.0, "processor": 4.0}


@pytest.mark.parametrize("baseline", [True, False])
def test_a_table_of_the_start(baseline):
    times = {"cold": [run_of(6.0)], "warm": [run_of(5.0)]}
    times = {"baseline": [run_of(10.0)]} | times if baseline else times
    jobs = {"vae": {"steps": 200, "runs": times, "summary": startup.summarize(times)}}
    text = speed_tables.startup({"a": record(startup=jobs, help={"this checkout": 0.5})})
    ratio = "0.50" if baseline else "-"
    assert f"| `vae`, 200 steps | filled cache | 5.0 | 1.0 | 3.0 | 4.0 | {ratio} |" in text
    assert ("| baseline | 10.0 |" in text) == baseline
    assert text.endswith("`--help`: this checkout 0.50 s.")


def test_a_job_of_an_older_checkout_has_its_former_name(tmp_path):
    job = "beta_vae:burgess"
    assert startup.name_in(startup.ROOT, job) == "configs/beta_vae.py:burgess"
    assert startup.name_in(startup.ROOT, "vae") == "configs/vae.py"
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "beta_vae.py").write_text('network = "burgess"')
    assert startup.name_in(tmp_path, job) == "configs/beta_vae.py"
    assert startup.name_in(tmp_path, "vae") == "configs/vae.py"
    assert startup.FORMER.keys() <= startup.JOBS.keys()


def test_the_start_is_kept_after_each_job(monkeypatch, tmp_path, capsys):
    path, seen = tmp_path / "s.json", []

    def measure(baseline, config, steps, repeats):
        seen.append((config, steps, path.exists()))
        return {"cold": [run_of(6.0)], "warm": [run_of(5.0)]}

    monkeypatch.setattr(startup, "measure", measure)
    monkeypatch.setattr(startup, "run_timed", lambda *_: run_of(0.5))
    monkeypatch.setattr(sys, "argv", ["startup", "--steps=7", f"--out={path}"])
    startup.main()
    assert seen == [("vae", 7, False), ("beta_vae:burgess", 7, True)]
    kept = speed_pages.read_records(tmp_path)
    assert kept["s"]["startup"].keys() == startup.JOBS.keys()
    assert kept["s"]["command"].endswith("--steps=7")
    assert "vae, 7 steps, warm: 5.0 s" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="exists; use another name"):
        startup.main()


def test_streaming_is_relative_to_memory_in_the_same_round(monkeypatch, tmp_path, capsys):
    rates = {"memory": [100.0, 200.0, 100.0], "thread": [90.0, 120.0, 80.0]}
    runs = {variant: 0 for variant in streaming.VARIANTS}

    def rate(job, flags):
        (variant,) = (name for name, of in streaming.VARIANTS.items() if of == flags)
        runs[variant] += 1
        return rates.get(variant, [50.0] * 3)[runs[variant] - 1]

    path = tmp_path / "s.json"
    monkeypatch.setattr(streaming, "training_rate", rate)
    job = streaming.Job("vae:npz", 7, ())
    monkeypatch.setattr(streaming, "make_jobs", lambda files, data_dir: {".npz": job})
    monkeypatch.setattr(streaming, "write_files", lambda folder: None)
    monkeypatch.setattr(sys, "argv", ["streaming", "--data_dir=/d", f"--out={path}"])
    streaming.main()
    records = speed_pages.read_records(tmp_path)
    text = speed_tables.streaming(records)
    assert "| .npz, 7 steps | memory | 100 | 1.00 | 1.00 1.00 1.00 |" in text
    assert "| .npz, 7 steps | thread | 90 | 0.80 | 0.90 0.60 0.80 |" in text
    assert "| .npz, 7 steps | 2 workers | 50 | 0.50 | 0.50 0.25 0.50 |" in text
    assert records["s"]["command"].endswith("--data_dir=DIR")
    assert "0.80" in capsys.readouterr().out


def test_streamed_files_have_the_same_images(tmp_path):
    streaming.write_files(tmp_path)
    with np.load(tmp_path / "images.npz") as arrays:
        assert sorted(arrays.files) == ["x_test", "x_train"]
        for name in arrays.files:
            assert (np.load(tmp_path / "images" / f"{name}.npy") == arrays[name]).all()
    assert list(streaming.make_jobs(tmp_path, None)) == [".npz", ".npy"]
    assert len(streaming.make_jobs(tmp_path, tmp_path)) == 3


def test_the_likelihood_is_kept(monkeypatch, tmp_path, capsys):
    path = tmp_path / "l.json"
    monkeypatch.setattr(likelihood, "run_side", lambda side, args: {"seconds": 6.0})
    flags = ["--rounds=2", "--images=10", "--pythae_images=5", "--samples=100"]
    monkeypatch.setattr(sys, "argv", ["likelihood", *flags, f"--out={path}"])
    likelihood.main()
    text = speed_tables.likelihood(speed_pages.read_records(tmp_path))
    assert "| ours | 10 | 5000.00 5000.00 |" in text
    assert "| pythae | 5 | 10000.00 10000.00 |" in text
    assert "With 100 samples; ours takes 0.50 of the time of pythae." in text
    assert "share 0.50" in capsys.readouterr().out


def test_what_is_no_record_is_refused(tmp_path):
    def read(**records):
        for name, content in records.items():
            (tmp_path / f"{name}.json").write_text(json.dumps(content))
        return speed_pages.read_records(tmp_path)

    with pytest.raises(InputError, match=r"a\.json: must have command, .* with --out"):
        read(a={"train": {}})
    with pytest.raises(InputError, match=r"a\.json: task = 'iwae5'.*iwae50"):
        read(a=record(train={"iwae5": {}}))
    with pytest.raises(InputError, match=r"a\.json: contestant = 'torch'"):
        read(a=record(train={"iwae50": {"torch": NUMBERS}}))
    with pytest.raises(InputError, match=r"b\.json: has train, iwae50, .*as a\.json"):
        read(a=training(), b=training())
    assert read(b=training(dtype="bfloat16")).keys() == {"a", "b"}


def test_numbers_go_to_a_new_file(tmp_path):
    machine.check_out(None)
    machine.check_out(tmp_path / "new.json")
    with pytest.raises(SystemExit, match="its folder does not exist"):
        machine.check_out(tmp_path / "absent" / "new.json")
    with pytest.raises(SystemExit, match="exists"):
        machine.check_out(pathlib.Path(__file__))


def test_a_record_says_how_it_was_made():
    made = machine.provenance(["--out=/tmp/x.json", "--tasks=vamp"])
    assert made.keys() >= set(speed_pages.FIELDS)
    assert made["command"].endswith(" --tasks=vamp")
    assert machine.command("p", ["--baseline", "/a", "--out", "/b"]) == (
        "python -m p --baseline=DIR"
    )
    assert made["commit"] is None or len(made["commit"]) == 40
    assert made["machine"]["load"] >= 0
