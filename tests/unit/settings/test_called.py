"""What was given by hand is called by no path, unless a host allows its last parts."""

import pytest

from holdfast.service.settings.called import called


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        ([b"/home/me/docs/"], "docs"),
        ([b"/"], "/"),
        ([b"/a/docs", b"/b/mail"], "docs, mail"),
        ([b"/a", b"/b", b"/c", b"/d"], "a, b and 2 more"),
        ([b"/a/\xff\n\x1b["], "\ufffd\ufffd\ufffd["),
        ([b"/x/" + "ü".encode() * 200], "ü" * 60),
    ],
)
def test_last_parts(paths: list[bytes], words: str) -> None:
    assert called(paths, openly=True) == words
    assert called(paths, openly=False) == "paths given by hand"
