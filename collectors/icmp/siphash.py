"""SipHash-2-4 of many 64-bit words at once: the nonce of every probe, from one secret key.

Why keyed: whoever does not know the key cannot make a reply that is taken for one. Why this function: it is made for
short messages and needs only additions, rotations and exclusive ors, which numpy does on whole columns. The nonce of
a probe that was forgotten long ago can be computed again, so a late reply is told apart from a forged one.
Reference: J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF", 2012.
"""

import secrets

import numpy as np
import numpy.typing as npt

U64 = npt.NDArray[np.uint64]

_START = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
_LENGTH = np.uint64(8 << 56)  # the last block of an 8-byte message holds its length and no bytes


def _rotate(word: U64, bits: int, scratch: U64) -> None:
    np.right_shift(word, np.uint64(64 - bits), out=scratch)
    np.left_shift(word, np.uint64(bits), out=word)
    np.bitwise_or(word, scratch, out=word)


def _round(a: U64, b: U64, c: U64, d: U64, scratch: U64) -> None:
    a += b
    c += d
    _rotate(b, 13, scratch)
    _rotate(d, 16, scratch)
    b ^= a
    d ^= c
    _rotate(a, 32, scratch)
    c += b
    a += d
    _rotate(b, 17, scratch)
    _rotate(d, 21, scratch)
    b ^= c
    d ^= a
    _rotate(c, 32, scratch)


class SipHash:
    """One 128-bit key (random unless given), kept in this process only."""

    def __init__(self, key: bytes = b"") -> None:
        key = key or secrets.token_bytes(16)
        if len(key) != 16:
            raise ValueError(f"a SipHash key has 16 bytes, not {len(key)}")
        halves = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
        self._start = [np.uint64(word ^ halves[i % 2]) for i, word in enumerate(_START)]

    def words(self, message: U64) -> U64:
        """The hash of each word of `message` (uint64 [n], each as eight little-endian bytes), uint64 [n]."""
        a, b, c, d = (np.full(message.shape, word, np.uint64) for word in self._start)
        scratch = np.empty_like(a)
        blocks: tuple[U64 | np.uint64, ...] = (message, _LENGTH)
        for block in blocks:
            d ^= block
            _round(a, b, c, d, scratch)
            _round(a, b, c, d, scratch)
            a ^= block
        c ^= np.uint64(0xFF)
        for _ in range(4):
            _round(a, b, c, d, scratch)
        result: U64 = a ^ b ^ c ^ d
        return result
