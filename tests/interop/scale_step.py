"""One step over a huge tree in a process of its own, so that its peak memory is its own: prints seconds and bytes.

python -m tests.interop.scale_step backup|restore|verify REPOSITORY PATH
"""

import asyncio
import json
import resource
import sys
import time
from pathlib import Path

from holdfast.repository.snapshots import find_snapshot
from holdfast.terms import VerifyLevel
from holdfast.verify.snapshot import verify_snapshot
from tests.support.engine import EngineRun, open_session
from tests.support.restore import restore

KIB = 1 << 10


def main(step: str, repository: Path, path: Path) -> None:
    """Do the step; fail loudly when anything is not whole."""
    begun = time.monotonic()
    with open_session(repository) as session:
        if step == "backup":
            result = EngineRun.of(session, path).run()
            whole, files = not result.partial, result.totals.files
        elif step == "restore":
            restored = restore(session, path)
            whole = not restored.finished.partial and restored.verified is not None and restored.verified.ok
            files = restored.counts.files
        else:
            snapshot = find_snapshot(session.repository, "latest").id
            report = asyncio.run(verify_snapshot(session, snapshot, VerifyLevel.FULL))
            whole, files = report.ok, report.files
    if not whole:
        sys.exit(f"{step}: not whole")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB
    print(json.dumps({"seconds": time.monotonic() - begun, "peak_bytes": peak, "files": files}))  # noqa: T201 -- its answer


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
