"""The event files that TensorBoard reads, byte for byte those of tensorboardX."""

import struct
import time

import numpy as np
import pytest

from vae_jax.experiment.storage.event_file import EventFile
from vae_jax.experiment.storage.metric_writer import write_figures

NOW = 1764103116.25
EVENTS = [
    (0, {"train/loss": 47.25}),
    (127, {"train/loss": 0.0, "valid/kl/0": float("nan"), "β": float("-inf")}),
    (128, {f"train/layer_{n}": 0.1 * n for n in range(300)}),
    (10**12, {"train/huge": 1e300, "train/tiny": -1e-300, "train/int": 3}),
    (7, {}),
]


@pytest.fixture
def content(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: NOW)
    file = EventFile(tmp_path / "tensorboard", purge_step=21)
    for step, scalars in EVENTS:
        file.write_scalars(step, scalars)
    file.close()
    (path,) = (tmp_path / "tensorboard").iterdir()
    assert path.name.startswith("events.out.tfevents.1764103116.")
    return path.read_bytes()


def records(content):
    """Yield the messages of the records, after checking their checksums."""
    from tensorboardX.record_writer import masked_crc32c

    while content:
        size = struct.unpack("<Q", content[:8])[0]
        message = content[12 : 12 + size]
        checksums = content[8:12] + content[12 + size : 16 + size]
        expected = masked_crc32c(content[:8]), masked_crc32c(message)
        assert struct.unpack("<II", checksums) == expected
        yield message
        content = content[16 + size :]


def test_the_messages_are_those_of_the_protocol_buffers(content):
    from tensorboardX.proto.event_pb2 import Event, SessionLog
    from tensorboardX.proto.summary_pb2 import Summary

    session = SessionLog(status=SessionLog.START)
    expected = [
        Event(wall_time=NOW, file_version="brain.Event:2"),
        Event(wall_time=NOW, step=21, session_log=session),
    ]
    for step, scalars in EVENTS:
        values = [Summary.Value(tag=tag, simple_value=value) for tag, value in scalars.items()]
        expected.append(Event(wall_time=NOW, step=step, summary=Summary(value=values)))
    assert list(records(content)) == [event.SerializeToString() for event in expected]


def test_the_events_are_read_back(content):
    from tensorboardX.proto.event_pb2 import Event

    events = [Event.FromString(message) for message in records(content)]
    assert events[0].file_version == "brain.Event:2"
    assert (events[1].step, events[1].session_log.status) == (21, 1)
    for event, (step, scalars) in zip(events[2:], EVENTS, strict=True):
        assert (event.step, event.wall_time) == (step, NOW)
        with np.errstate(over="ignore"):
            singles = {tag: float(np.float32(value)) for tag, value in scalars.items()}
        values = {value.tag: value.simple_value for value in event.summary.value}
        np.testing.assert_equal(values, singles)


def test_figures_are_images(tmp_path):
    """With their size and bytes; they hide no earlier event."""
    from PIL import Image
    from tensorboardX.proto.event_pb2 import Event

    path = tmp_path / "samples.png"
    Image.new("RGBA", (7, 4), (200, 10, 10, 255)).save(path)
    write_figures(tmp_path, 300, [path])
    (file,) = (tmp_path / "tensorboard").iterdir()
    assert file.name.endswith(".figures")
    first, event = map(Event.FromString, records(file.read_bytes()))
    assert first.file_version == "brain.Event:2"
    assert event.step == 300
    (value,) = event.summary.value
    assert value.tag == "figures/samples"
    assert (value.image.width, value.image.height, value.image.colorspace) == (7, 4, 4)
    assert value.image.encoded_image_string == path.read_bytes()
