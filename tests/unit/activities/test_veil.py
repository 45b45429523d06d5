"""What Temporal is told of messages that name paths."""

import pytest

from holdfast.activities.veil import Veil
from holdfast.contracts.veiled import REPOSITORY


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("/srv/my vault: there is no repository", "<path>: there is no repository"),
        ("/srv/vault/data/ab/abcd: no space left", "<path>: no space left"),
        ("the target '/home/a b/c' cannot be used", "the target '<path>' cannot be used"),
        ("the exclude file /etc/x.txt cannot be read", "the exclude file <path> cannot be read"),
        ("the exclude file '/etc/my list.txt' cannot be read", "the exclude file '<path>' cannot be read"),
        ("locked by root on host, process 7", "locked by root on host, process 7"),
        ("first line\n/etc/second: line", "first line\n<path>: line"),
        ("see https://example.org/a/b", "see https://example.org/a/b"),
        ("read and/or write", "read and/or write"),
    ],
)
def test_paths_are_cut_out(message: str, told: str) -> None:
    assert Veil().over(message) == told


def test_what_was_resolved_gets_its_placeholder() -> None:
    veil = Veil()
    veil.cover("/srv/vault", REPOSITORY)
    veil.cover("s3://bucket/vault", REPOSITORY)
    assert veil.over("/srv/vault: wrong password") == "<repository>: wrong password"
    assert veil.over("/srv/vault/data/ab/abcd: gone") == "<repository>/data/ab/abcd: gone"
    assert veil.over("s3://bucket/vault: no answer") == "<repository>: no answer"
