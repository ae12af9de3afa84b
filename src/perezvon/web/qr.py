"""A QR code as SVG (ISO/IEC 18004: bytes, error correction M, versions 1 to 20): for the address of one-time codes. Pure.

The steps of the standard: the bytes become codewords, Reed-Solomon codewords of each block follow, all are laid in a zigzag
around the fixed patterns, and of eight masks the one with the fewest disturbing shapes is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import pairwise

from markupsafe import Markup

Square = list[list[bool]]

CORRECTION = (10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26)
BLOCKS = (1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16)
"""Codewords of correction in a block, and blocks: of each version, at level M."""

QUIET = 4
"""Modules of white around it."""

MASKS: tuple[Callable[[int, int], bool], ...] = (
    lambda row, column: (row + column) % 2 == 0,
    lambda row, column: row % 2 == 0,
    lambda row, column: column % 3 == 0,
    lambda row, column: (row + column) % 3 == 0,
    lambda row, column: (row // 2 + column // 3) % 2 == 0,
    lambda row, column: row * column % 2 + row * column % 3 == 0,
    lambda row, column: (row * column % 2 + row * column % 3) % 2 == 0,
    lambda row, column: ((row + column) % 2 + row * column % 3) % 2 == 0,
)


def svg(text: str) -> Markup | None:
    """None when it is too long for version 20 (666 bytes)."""
    content = text.encode()
    version = next((one for one in range(1, len(BLOCKS) + 1) if len(content) <= room(one)), None)
    if version is None:
        return None
    square = drawn(content, version)
    whole = len(square) + 2 * QUIET
    path = "".join(
        f"M{column + QUIET} {row + QUIET}h1v1h-1z"
        for row, line in enumerate(square)
        for column, dark in enumerate(line)
        if dark
    )
    return Markup('<svg class="qr" viewBox="0 0 {0} {0}" shape-rendering="crispEdges"><path d="{1}"/></svg>').format(
        whole, path
    )


def room(version: int) -> int:
    """Bytes of text that fit."""
    return (_data_codewords(version) * 8 - 4 - _length_bits(version)) // 8


def drawn(content: bytes, version: int) -> Square:
    """The modules, dark ones True."""
    square, free = _fixed(version)
    bits = _bits(_codewords(content, version))
    places = list(_zigzag(free))
    for row, column in places:
        square[row][column] = next(bits, False)
    masked = [_masked(square, places, version, mask) for mask in range(len(MASKS))]
    return min(masked, key=_disturbance)


def _length_bits(version: int) -> int:
    return 8 if version < 10 else 16


def _raw_codewords(version: int) -> int:
    size = 17 + 4 * version
    taken = 3 * 64 + 2 * (size - 16) + 31  # finders with their rims, timing, format and the dark module
    centres = len(_alignment(version))
    if centres:
        taken += (centres * centres - 3) * 25 - 2 * (centres - 2) * 5
    if version >= 7:
        taken += 36
    return (size * size - taken) // 8


def _data_codewords(version: int) -> int:
    return _raw_codewords(version) - CORRECTION[version - 1] * BLOCKS[version - 1]


def _alignment(version: int) -> list[int]:
    """Rows and columns at whose crossings alignment patterns are centred."""
    if version == 1:
        return []
    count, last = version // 7 + 2, 10 + 4 * version
    step = -(-(last - 6) // (count - 1) // 2) * 2 if (last - 6) % (count - 1) else (last - 6) // (count - 1)
    step += step % 2
    return [6, *(last - step * index for index in range(count - 2, -1, -1))]


def _codewords(content: bytes, version: int) -> list[int]:
    wanted = _data_codewords(version)
    bits = f"{4:04b}{len(content):0{_length_bits(version)}b}" + "".join(f"{byte:08b}" for byte in content)
    bits += "0" * min(4, wanted * 8 - len(bits))
    bits += "0" * (-len(bits) % 8)
    data = [int(bits[start : start + 8], 2) for start in range(0, len(bits), 8)]
    data += [(0xEC, 0x11)[index % 2] for index in range(wanted - len(data))]
    count = BLOCKS[version - 1]
    short, longer = divmod(wanted, count)
    blocks: list[list[int]] = []
    start = 0
    for index in range(count):
        length = short + (index >= count - longer)
        blocks.append(data[start : start + length])
        start += length
    corrections = [_correction(block, CORRECTION[version - 1]) for block in blocks]
    return [*_interleaved(blocks), *_interleaved(corrections)]


def _interleaved(blocks: Sequence[Sequence[int]]) -> Iterator[int]:
    for index in range(max(map(len, blocks))):
        for block in blocks:
            if index < len(block):
                yield block[index]


@cache
def _field() -> tuple[list[int], list[int]]:
    """Powers and logarithms in GF(256) with x^8 + x^4 + x^3 + x^2 + 1."""
    powers, logarithms, value = [0] * 510, [0] * 256, 1
    for exponent in range(255):
        powers[exponent] = powers[exponent + 255] = value
        logarithms[value] = exponent
        value = value << 1 ^ (0x11D if value & 0x80 else 0)
    return powers, logarithms


def _times(one: int, other: int) -> int:
    powers, logarithms = _field()
    return powers[logarithms[one] + logarithms[other]] if one and other else 0


@cache
def _generator(degree: int) -> tuple[int, ...]:
    """Without the leading 1."""
    powers, _ = _field()
    polynomial = [1]
    for exponent in range(degree):
        longer = [*polynomial, 0]
        for index, factor in enumerate(polynomial):
            longer[index + 1] ^= _times(factor, powers[exponent])
        polynomial = longer
    return tuple(polynomial[1:])


def _correction(block: Sequence[int], count: int) -> list[int]:
    rest = [0] * count
    for codeword in block:
        factor = codeword ^ rest[0]
        rest = [*rest[1:], 0]
        rest = [value ^ _times(known, factor) for value, known in zip(rest, _generator(count), strict=True)]
    return rest


def _bits(codewords: Sequence[int]) -> Iterator[bool]:
    for codeword in codewords:
        for place in range(7, -1, -1):
            yield bool(codeword >> place & 1)


def _fixed(version: int) -> tuple[Square, Square]:
    """The patterns that are always there, and which modules are free for data."""
    size = 17 + 4 * version
    square: Square = [[False] * size for _ in range(size)]
    free: Square = [[True] * size for _ in range(size)]

    def put(row: int, column: int, *, dark: bool) -> None:
        if 0 <= row < size and 0 <= column < size:
            square[row][column], free[row][column] = dark, False

    for index in range(size):
        put(6, index, dark=index % 2 == 0)
        put(index, 6, dark=index % 2 == 0)
    for top, left in ((0, 0), (0, size - 7), (size - 7, 0)):
        for row in range(-1, 8):
            for column in range(-1, 8):
                ring = max(abs(row - 3), abs(column - 3))
                put(top + row, left + column, dark=ring in (0, 1, 3))
    centres = _alignment(version)
    for row in centres:
        for column in centres:
            if (row, column) not in ((6, 6), (6, size - 7), (size - 7, 6)):
                for down in range(-2, 3):
                    for right in range(-2, 3):
                        put(row + down, column + right, dark=max(abs(down), abs(right)) != 1)
    for row, column in _format_places(size):
        put(row, column, dark=False)
    put(size - 8, 8, dark=True)
    if version >= 7:
        told = version << 12 | _remainder(version << 12, 0x1F25, 12)
        for index in range(18):
            far, near = size - 11 + index % 3, index // 3
            put(far, near, dark=bool(told >> index & 1))
            put(near, far, dark=bool(told >> index & 1))
    return square, free


def _format_places(size: int) -> list[tuple[int, int]]:
    """Of the fifteen bits, the lowest first: once around the first finder, once beside the two others."""
    first = [(row, 8) for row in (0, 1, 2, 3, 4, 5, 7, 8)] + [(8, column) for column in (7, 5, 4, 3, 2, 1, 0)]
    second = [(8, size - 1 - index) for index in range(8)] + [(size - 7 + index, 8) for index in range(7)]
    return first + second


def _remainder(value: int, divisor: int, degree: int) -> int:
    while value.bit_length() > degree:
        value ^= divisor << (value.bit_length() - 1 - degree)
    return value


def _zigzag(free: Square) -> Iterator[tuple[int, int]]:
    size = len(free)
    upwards = True
    for right in (*range(size - 1, 6, -2), *range(5, 0, -2)):
        for row in range(size - 1, -1, -1) if upwards else range(size):
            for column in (right, right - 1):
                if free[row][column]:
                    yield row, column
        upwards = not upwards


def _masked(square: Square, places: Sequence[tuple[int, int]], version: int, mask: int) -> Square:
    masked = [list(line) for line in square]
    for row, column in places:
        masked[row][column] ^= MASKS[mask](row, column)
    value = mask  # level M is 00
    told = (value << 10 | _remainder(value << 10, 0x537, 10)) ^ 0x5412
    for index, (row, column) in enumerate(_format_places(17 + 4 * version)):
        masked[row][column] = bool(told >> index % 15 & 1)
    return masked


def _disturbance(square: Square) -> int:
    """Long runs, blocks of four, what looks like a finder, and too much dark or light."""
    size, points = len(square), 0
    for line in (*square, *(list(column) for column in zip(*square, strict=True))):
        text = "".join("1" if dark else "0" for dark in line)
        for run in text.replace("01", "0 1").replace("10", "1 0").split():
            points += len(run) - 2 if len(run) >= 5 else 0
        for start in range(size - 10):
            points += 40 if text[start : start + 11] in ("10111010000", "00001011101") else 0
    for above, below in pairwise(square):
        for column in range(size - 1):
            points += 3 if above[column] == above[column + 1] == below[column] == below[column + 1] else 0
    dark = sum(map(sum, square))
    return points + 10 * (abs(dark * 20 - size * size * 10) // (size * size))
