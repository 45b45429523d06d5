"""The attempts at a piece of a restore; repository/fence.py has the rule that says which of them may go on."""

import secrets
from typing import Final

from holdfast.repository.fence import Fence
from holdfast.repository.workspace import Workspace

_FOLDER: Final = "attempts"
_TOKEN_BYTES: Final = 4


class Attempt(Fence):
    """One attempt at `scope` (a shard, or the finish). token: what its temporary files and documents are named by."""

    def __init__(self, workspace: Workspace, scope: str) -> None:
        super().__init__(workspace, f"{_FOLDER}/{scope}", "", work=f"{scope} of the restore")
        self.token = secrets.token_hex(_TOKEN_BYTES)
        self.claim(self.token.encode())


def any_repeated(workspace: Workspace) -> bool:
    """Whether anything in the run was tried more than once, so that temporary files may lie around."""
    return any(int(name.rpartition("/")[2]) > 0 for name in workspace.list(_FOLDER))
