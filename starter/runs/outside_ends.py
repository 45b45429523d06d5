"""A command records and tells that a run was ended from outside, or answered by another.

Its own workers, which would look after such runs (activities/outside.py), end with it.
"""

import time

from holdfast.contracts.identity import workflow_of
from holdfast.control.journal import open_journal
from holdfast.errors import JournalUnavailableError
from holdfast.service.journal.outside import open_records, record_end
from holdfast.service.notices.delivery import tell
from holdfast.service.notices.notice import notice_of_run
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.output import warn


def tell_outside_end(invocation: Invocation, workflow_id: str, how: str) -> None:
    """Record how the open runs of a workflow id ended, and send the notices. Blocks; a journal that fails is told."""
    journal = open_journal(invocation.settings, invocation.environ)
    try:
        records = [record for record in open_records(journal) if workflow_of(record.run_id) == workflow_id]
        ended = record_end(journal, records, how, time.time_ns())
    except JournalUnavailableError as error:
        warn(f"the journal cannot be written: {error.message}")
        return
    for record in ended:
        tell(invocation.settings.notices, notice_of_run(record, record.source or record.repository))
