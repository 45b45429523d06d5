"""Opens the journal that the settings name, with the password that its database asks for.

Cheap to import: SQLAlchemy, which takes a quarter of a second to load, comes with the first `open_journal`.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from holdfast.service.settings.model import Settings
from holdfast.service.settings.passwords import resolve_password

if TYPE_CHECKING:
    from holdfast.service.journal.journal import Journal


def open_journal(
    settings: Settings, environ: Mapping[str, str], given: Mapping[str, bytes] | None = None
) -> "Journal":
    """The journal; nothing is connected yet. environ: where its password may stand.

    given: passwords that were handed to this process, by location or, for the journal, by its URL.

    Raises:
        JournalUnavailableError: its URL is none.
    """
    from holdfast.service.journal.journal import Journal  # noqa: PLC0415 (see the module's docstring)

    url, source = settings.journal.url, settings.journal.password
    if url is None:
        return Journal.at(settings.journal_path)
    if source is None:
        return Journal(url)
    handed = (given or {}).get(url)
    return Journal(url, password=lambda: resolve_password(source, environ) if handed is None else handed)
