"""Samples of one channel and of two: mixed, doubled, exchanged, put side by side. 16 bits, interleaved, a piece at a
time."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator


def with_channels(piece: bytes, has: int, wanted: int) -> bytes:
    if has == wanted:
        return piece
    samples = array("h", piece)
    if has == 1:
        return beside(piece, piece)
    return array("h", [(left + right) >> 1 for left, right in zip(samples[0::2], samples[1::2], strict=True)]).tobytes()


def exchanged(piece: bytes) -> bytes:
    """Left becomes right."""
    samples = array("h", piece)
    return beside(samples[1::2].tobytes(), samples[0::2].tobytes())


def beside(left: bytes, right: bytes) -> bytes:
    """Both mono and of the same length."""
    wide = array("h", bytes(2 * len(left)))
    wide[0::2] = array("h", left)
    wide[1::2] = array("h", right)
    return wide.tobytes()


def side_by_side(left: Iterable[bytes], right: Iterable[bytes]) -> Iterator[bytes]:
    """Pieces of two mono sounds as pieces of a stereo one; the shorter ends in silence."""
    sources, rest = [iter(left), iter(right)], [b"", b""]
    while True:
        for side in (0, 1):
            if not rest[side]:
                rest[side] = next(sources[side], b"")
        length = min(len(one) for one in rest) or max(len(one) for one in rest)
        if not length:
            return
        yield beside(*(one[:length].ljust(length, b"\0") for one in rest))
        rest = [one[length:] for one in rest]
