"""Tags of our own say in a snapshot how it came about: tags survive `restic tag` and `rewrite`, which drop what restic
does not know.

No person's tag begins as ours do: commands and settings refuse that.
"""

from typing import Final

from holdfast.format.snapshot import Snapshot
from holdfast.terms import RunStatus, Strategy

OWN: Final = "holdfast-"
"""How tags of ours begin."""
RUN_TAG: Final = "holdfast-run:"
SOURCE_TAG: Final = "holdfast-source:"
STATUS_TAG: Final = "holdfast-status:"
STRATEGY_TAG: Final = "holdfast-strategy:"


def source_of(snapshot: Snapshot) -> str:
    """The source of the settings that a snapshot is of; empty where none is named."""
    return next(
        (tag.removeprefix(SOURCE_TAG) for tag in snapshot.tags or () if tag.startswith(SOURCE_TAG)), ""
    )


def is_partial(snapshot: Snapshot) -> bool:
    """Whether something of the source could not be read. Of other programs' snapshots nobody can tell."""
    return STATUS_TAG + RunStatus.PARTIAL in (snapshot.tags or ())


def has_strategy(snapshot: Snapshot, strategy: Strategy) -> bool:
    """Whether a snapshot was made by this strategy."""
    return STRATEGY_TAG + strategy in (snapshot.tags or ())
