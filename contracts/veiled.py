"""Words stand in error messages in place of paths: Temporal stores messages, and paths are not for it.

Workers put these in, and the command line, which knows the paths because a person typed them, puts the paths back.
"""

import re
from typing import Final

REPOSITORY: Final = "<repository>"
TARGET: Final = "<target>"
STATE_DIR: Final = "<state directory>"
ROOT: Final = "<root {}>"
"""With the number of one of the source's paths, from 1."""
PATH: Final = "<path>"


_NUMBERED: Final = re.compile(r"<root (\d+)>")
_WORDS: Final = ((REPOSITORY, "the repository"), (TARGET, "the target"), (STATE_DIR, "the state directory"))


def in_words(message: str) -> str:
    """A message for readers who may see no path: what stands in place of one, in words."""
    for placeholder, words in (*_WORDS, (PATH, "a path")):
        message = message.replace(placeholder, words)
    return _NUMBERED.sub(r"path \1 of the source", message)
