"""RecordIO written here in its published layout, and damaged."""

import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attribute_recovery.dataset.sources.recordio import RecordFile

MAGIC = struct.pack("<I", 0xCED7230A)


def part(data: bytes, flag: int = 0) -> bytes:
    """Magic, flag and length, the bytes, zeros up to a multiple of 4."""
    return MAGIC + struct.pack("<I", flag << 29 | len(data)) + data + b"\0" * (-len(data) % 4)


def record(data: bytes) -> bytes:
    """A record, cut where its bytes hold the magic number at a multiple of 4."""
    pieces, start = [], 0
    for place in range(0, len(data) - 3, 4):
        if data[place : place + 4] == MAGIC:
            pieces.append(data[start:place])
            start = place + 4
    pieces.append(data[start:])
    if len(pieces) == 1:
        return part(data)
    flags = [1, *[2] * (len(pieces) - 2), 3]
    return b"".join(part(piece, flag) for piece, flag in zip(pieces, flags, strict=True))


def head(labels: list[float], key: int) -> bytes:
    """IRHeader: one label in its place, several after it."""
    if len(labels) == 1:
        return struct.pack("<IfQQ", 0, labels[0], key, 0)
    return struct.pack("<IfQQ", len(labels), 0.0, key, 0) + struct.pack(f"<{len(labels)}f", *labels)


def written(folder: Path, records: dict[int, bytes]) -> RecordFile:
    """`train.rec` and `train.idx` with these records."""
    offsets, content = [], b""
    for key, data in records.items():
        offsets.append(f"{key}\t{len(content)}\n")
        content += record(data)
    (folder / "train.rec").write_bytes(content)
    (folder / "train.idx").write_text("".join(offsets))
    return RecordFile(folder / "train.rec", folder / "train.idx")


def test_insightface_s_layout_is_read(tmp_path: Path) -> None:
    images = {key: head([float(key % 2)], key) + f"image {key}".encode() for key in range(1, 5)}
    people = {5: head([1.0, 3.0], 5), 6: head([3.0, 5.0], 6)}
    file = written(tmp_path, {0: head([5.0, 7.0], 0), **images, **people})
    assert file.image_keys() == [1, 2, 3, 4]
    found = file.read(3)
    assert found.labels == (1.0,)
    assert found.content == b"image 3"
    assert file.read(3, head_only=True).labels == (1.0,)
    assert file.read(6).labels == (3.0, 5.0)
    with ThreadPoolExecutor(4) as pool:
        again = list(pool.map(lambda key: file.read(key).content, [1, 2, 3, 4] * 20))
    assert again == [b"image 1", b"image 2", b"image 3", b"image 4"] * 20


def test_without_a_first_record_of_ranges_all_records_are_images(tmp_path: Path) -> None:
    file = written(tmp_path, {7: head([2.0], 7) + b"x", 3: head([2.0], 3) + b"y"})
    assert file.image_keys() == [3, 7]
    assert written(tmp_path, {0: head([2.0], 0) + b"x", 3: head([2.0], 3)}).image_keys() == [0, 3]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(st.sampled_from([MAGIC, b"abcd", b"ab", b"", b"\0" * 8]), max_size=6))
def test_records_that_hold_the_magic_number_come_back_whole(tmp_path: Path, pieces: list[bytes]) -> None:
    content = b"".join(pieces)
    file = written(tmp_path, {1: head([4.0], 1) + content, 2: head([1.0, 2.0], 2) + content})
    assert file.read(1).content == content
    assert file.read(2).content == content


def test_more_labels_than_one_are_read_with_the_head(tmp_path: Path) -> None:
    file = written(tmp_path, {1: head([9.0] + [0.5] * 10, 1) + b"x" * 2000})
    assert file.read(1, head_only=True).labels[0] == 9.0
    assert file.read(1).content == b"x" * 2000


def test_damage_names_record_and_place(tmp_path: Path) -> None:
    file = written(tmp_path, {1: head([1.0], 1) + b"image", 2: head([1.0], 2) + b"image"})
    whole = (tmp_path / "train.rec").read_bytes()
    for content, says in (
        (whole[:-20], r"record 2 at byte 40 is damaged: found \d+ bytes, expected 29"),
        (whole[:41], r"record 2 at byte 40 is damaged: found 0x0, expected 0xced7230a"),
        (whole.replace(MAGIC, b"abcd"), r"record 2 at byte 40 is damaged: found 0x64636261, expected 0xced"),
    ):
        (tmp_path / "train.rec").write_bytes(content)
        with pytest.raises(ValueError, match=rf"train\.rec: {says}"):
            RecordFile(tmp_path / "train.rec", tmp_path / "train.idx").read(2)
    file = written(tmp_path, {1: b"short", 2: struct.pack("<IfQQ", 1000, 0.0, 2, 0)})
    with pytest.raises(ValueError, match="record 1 .* found 5 bytes, expected a header of 24"):
        file.read(1)
    with pytest.raises(ValueError, match="record 2 .* found 1000 labels, expected as many as"):
        file.read(2)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "is empty, expected lines of a key and an offset"),
        (b"1 2 3\n", "found the line '1 2 3', expected a key and an offset"),
        (b"a\t1\n", "found the line 'a 1'"),
        (b"\xff", "cannot be read as an index"),
    ],
)
def test_an_index_that_is_none_is_refused(tmp_path: Path, text: bytes, says: str) -> None:
    (tmp_path / "x.idx").write_bytes(text)
    with pytest.raises(ValueError, match=rf"x\.idx: {says}"):
        RecordFile(tmp_path / "x.rec", tmp_path / "x.idx")


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"x\.idx: cannot be read as an index"):
        RecordFile(tmp_path / "x.rec", tmp_path / "x.idx")
    (tmp_path / "x.idx").write_text("1\t0\n")
    with pytest.raises(ValueError, match=r"x\.rec: cannot be read \(No such file"):
        RecordFile(tmp_path / "x.rec", tmp_path / "x.idx")
