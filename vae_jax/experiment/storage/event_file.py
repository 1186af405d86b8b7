"""TensorBoard event files.

An event is a protobuf message of a few fields in a record with checksums. The package tensorboardX
imports torch if it is installed, and the thread of its `SummaryWriter` dies when the disk is full,
after which the run waits for it forever. Here every event is written at once.

https://github.com/tensorflow/tensorboard/blob/master/tensorboard/compat/proto/event.proto
"""

import os
import socket
import struct
import time
from collections.abc import Mapping

import numpy as np

from vae_jax.files import Path, open_appender

RGBA = 4  # channels of the figures
VARINT, DOUBLE, BYTES, FLOAT = 0, 1, 2, 5  # the wire types of protobuf


class EventFile:
    """A file of events in a directory; steps from `purge_step` of earlier files are hidden.

    None hides nothing. `suffix` ends the name of the file.
    """

    def __init__(self, directory: Path, *, purge_step: int | None = None, suffix: str = "") -> None:
        directory.mkdir(exist_ok=True)
        name = f"events.out.tfevents.{time.time():.0f}.{socket.gethostname()}.{os.getpid()}{suffix}"
        self._file = open_appender(directory / name)
        self._write(_field(3, b"brain.Event:2"))
        if purge_step is not None:
            self._start_session(purge_step)

    def _start_session(self, purge_step: int) -> None:
        self._write(_step(purge_step) + _field(7, _key(1, VARINT) + _varint(1)))  # a new session

    def write_scalars(self, step: int, scalars: Mapping[str, float]) -> None:
        """Write one event with the scalars of a step by tag."""
        self._write(_step(step) + _field(5, b"".join(map(_summary_value, scalars.items()))))

    def write_images(self, step: int, images: Mapping[str, bytes]) -> None:
        """Write one event with the PNG images of a step by tag."""
        self._write(_step(step) + _field(5, b"".join(map(_summary_image, images.items()))))

    def flush(self) -> None:
        """Upload the events if the file is in a bucket."""
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, fields: bytes) -> None:
        event = _key(1, DOUBLE) + struct.pack("<d", time.time()) + fields
        size = struct.pack("<Q", len(event))
        self._file.write(size + _checksum(size) + event + _checksum(event))


def _step(step: int) -> bytes:
    return _key(2, VARINT) + _varint(step) if step else b""


def _summary_value(scalar: tuple[str, float]) -> bytes:
    tag, value = scalar
    with np.errstate(over="ignore"):
        single = np.asarray(value, "<f4").tobytes()
    return _field(1, _field(1, tag.encode()) + _key(2, FLOAT) + single)


def _summary_image(image: tuple[str, bytes]) -> bytes:
    tag, png = image
    width, height = struct.unpack(">II", png[16:24])
    sizes = [
        _key(number, VARINT) + _varint(n) for number, n in ((1, height), (2, width), (3, RGBA))
    ]
    return _field(1, _field(1, tag.encode()) + _field(4, b"".join(sizes) + _field(4, png)))


def _field(number: int, content: bytes) -> bytes:
    return _key(number, BYTES) + _varint(len(content)) + content


def _key(number: int, wire_type: int) -> bytes:
    return bytes([number << 3 | wire_type])


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _make_crc_table() -> list[int]:
    table = []
    for crc in range(256):
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
        table.append(crc)
    return table


_CRC_TABLE = _make_crc_table()


def _checksum(data: bytes) -> bytes:
    """Return the CRC-32C of the data, rotated and shifted as TensorFlow's records have it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC_TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    rotated = (crc >> 15 | crc << 17) + 0xA282EAD8
    return struct.pack("<I", rotated & 0xFFFFFFFF)
