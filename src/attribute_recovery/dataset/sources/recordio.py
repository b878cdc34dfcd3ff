"""MXNet's RecordIO with an index, as InsightFace publishes training sets: `train.rec` and `train.idx`.

A record is the number 0xced7230a, a word with a flag in its 3 upper bits and a length in the others, and so
many bytes, filled up to a multiple of 4; where the bytes hold that number themselves, they are cut there and
the parts have the flags 1 (first), 2 and 3 (last). The bytes begin with the header `flag: uint32, label:
float32, id: uint64, id2: uint64`; where its flag is more than 0, so many float32 labels follow in its place.
The index is a text file, `key<tab>offset` a line. Record 0 has two labels where there are records of
identities after those of images: the keys at which those begin and end.
"""

import os
import struct
from dataclasses import dataclass
from pathlib import Path

MAGIC = 0xCED7230A
WORDS = struct.Struct("<II")
HEADER = struct.Struct("<IfQQ")
LENGTH_BITS = 29
# Enough of a record for its header and labels.
HEAD_BYTES = HEADER.size + 512


@dataclass(frozen=True)
class Record:
    """One record: its labels, and what it holds."""

    labels: tuple[float, ...]
    content: bytes


class RecordFile:
    """An open RecordIO file with its index; reading is safe from several threads.

    Args:
        records: The file with the ending .rec.
        index: The file with the ending .idx.

    Raises:
        ValueError: A file cannot be read, or the index is not one.
    """

    def __init__(self, records: Path, index: Path) -> None:
        self.path = records
        self.offsets = _offsets(index)
        try:
            self._file = records.open("rb")
        except OSError as error:
            raise ValueError(f"{records}: cannot be read ({error.strerror})") from error

    def image_keys(self) -> list[int]:
        """Keys of the records that are images, rising.

        Raises:
            ValueError: The first record is damaged.
        """
        keys = sorted(self.offsets)
        if 0 not in self.offsets:
            return keys
        labels = self.read(0, head_only=True).labels
        if len(labels) < 2:
            return keys
        return [key for key in keys if 1 <= key < int(labels[0])]

    def read(self, key: int, *, head_only: bool = False) -> Record:
        """A record.

        Args:
            key: One of the index's.
            head_only: Leave its content out, which is quicker.

        Returns:
            The record.

        Raises:
            ValueError: It is damaged; key and offset are named.
        """
        offset = self.offsets[key]
        data, flag, place = self._part(key, offset, head_only=head_only)
        while flag in (1, 2) and not head_only:
            part, flag, place = self._part(key, place)
            data += MAGIC.to_bytes(4, "little") + part
        if len(data) < HEADER.size:
            raise self._damage(key, offset, f"{len(data)} bytes", f"a header of {HEADER.size}")
        count, label, _, _ = HEADER.unpack_from(data)
        if not count:
            return Record((label,), data[HEADER.size :])
        end = HEADER.size + 4 * count
        if len(data) < end:
            raise self._damage(key, offset, f"{count} labels", "as many as the record has room for")
        return Record(struct.unpack_from(f"<{count}f", data, HEADER.size), data[end:])

    def _part(self, key: int, offset: int, *, head_only: bool = False) -> tuple[bytes, int, int]:
        """The bytes of a part, its flag, and where the next one begins."""
        words = os.pread(self._file.fileno(), WORDS.size, offset)
        magic, length = WORDS.unpack(words) if len(words) == WORDS.size else (0, 0)
        if magic != MAGIC:
            raise self._damage(key, offset, f"{magic:#x}", f"{MAGIC:#x}")
        flag, size = length >> LENGTH_BITS, length & ((1 << LENGTH_BITS) - 1)
        wanted = min(size, HEAD_BYTES) if head_only else size
        data = os.pread(self._file.fileno(), wanted, offset + WORDS.size)
        if len(data) != wanted:
            raise self._damage(key, offset, f"{len(data)} bytes", f"{wanted}")
        return data, flag, offset + WORDS.size + size + -size % 4

    def _damage(self, key: int, offset: int, found: str, expected: str) -> ValueError:
        return ValueError(
            f"{self.path}: record {key} at byte {offset} is damaged: found {found}, expected {expected}"
        )


def _offsets(index: Path) -> dict[int, int]:
    try:
        lines = [line.split() for line in index.read_text("ascii").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{index}: cannot be read as an index ({error})") from error
    for line in lines:
        if len(line) != 2 or not all(text.isdigit() for text in line):
            raise ValueError(f"{index}: found the line {' '.join(line)!r}, expected a key and an offset")
    if not lines:
        raise ValueError(f"{index}: is empty, expected lines of a key and an offset")
    return {int(key): int(offset) for key, offset in lines}
