"""Words stand in error messages in place of paths: Temporal stores messages, and paths are not for it.

Workers put these in, and the command line, which knows the paths because a person typed them, puts the paths back.
"""

from typing import Final

REPOSITORY: Final = "<repository>"
TARGET: Final = "<target>"
STATE_DIR: Final = "<state directory>"
ROOT: Final = "<root {}>"
"""With the number of one of the source's paths, from 1."""
PATH: Final = "<path>"
