"""Does a piece of a file look like noise, that is, encrypted?

The measure is the entropy of its bytes. A sample of n random bytes does not reach 8 bits per byte: it falls short by
about 255 / (2 n ln 2) (Miller and Madow's correction), so short samples are held to less. Compressed data is noise as
well; hence what counts is that a file *became* noise, and that many did.
"""

import math
from collections import Counter
from typing import Final

SAMPLE_BYTES: Final = 64 * 1024
FEWEST_BYTES: Final = 512
"""Less than that says nothing."""
_SLACK_BITS: Final = 0.12
_CALM_BITS: Final = 0.35
_BYTE_VALUES: Final = 256


def entropy_bits(sample: bytes) -> float:
    """Bits for each byte, from 0 to 8."""
    length = len(sample)
    if not length:
        return 0.0
    return -sum(count / length * math.log2(count / length) for count in Counter(sample).values())


def is_noise(sample: bytes) -> bool:
    """Whether a sample is as disorderly as random bytes of its length would be."""
    return len(sample) >= FEWEST_BYTES and entropy_bits(sample) >= _expected_bits(len(sample)) - _SLACK_BITS


def became_noise(before: bytes, now: bytes) -> bool:
    """Whether the first was clearly orderly and the second is noise."""
    if not is_noise(now):
        return False
    return entropy_bits(before) < _expected_bits(max(len(before), FEWEST_BYTES)) - _CALM_BITS


def _expected_bits(length: int) -> float:
    return 8 - (_BYTE_VALUES - 1) / (2 * length * math.log(2))
