"""Rules are what the settings say of a repository's snapshots: policies, a budget, how long a mistake can be undone.

Settings load this for every command, so nothing of it loads the engine.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from holdfast.retention.policy import EMPTY, Policy

if TYPE_CHECKING:
    from holdfast.retention.groups import Group

DEFAULT_BIN_S: Final = 7 * 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What the settings say of a repository. sources: the policies of this host's sources by (host, name); others: that
    of all other groups. size_bytes: the budget of all of it. bin_s: how long what is forgotten can be taken back."""

    sources: Mapping[tuple[str, str], Policy]
    others: Policy = EMPTY
    size_bytes: int | None = None
    bin_s: float = DEFAULT_BIN_S

    def of(self, group: "Group") -> Policy:
        """The policy of a group."""
        return self.sources.get((group.host, group.source), self.others)

    @property
    def is_empty(self) -> bool:
        """Whether there is no policy for anything."""
        return (
            self.others.is_empty
            and self.size_bytes is None
            and all(p.is_empty for p in self.sources.values())
        )
