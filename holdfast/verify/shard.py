"""Read the packs of one shard of a verification, from where an earlier attempt came to."""

import time
from contextlib import closing
from functools import partial
from typing import Final

from holdfast.ids import PackId
from holdfast.pace import Pace, wait_out
from holdfast.repository.index.map import PackInfo
from holdfast.repository.session import HeldRepository
from holdfast.runs.progress import Progress
from holdfast.verify.documents import (
    ShardResult,
    VerifyRun,
)
from holdfast.verify.packs import PackChecked, check_packs

_SAVE_S: Final = 5.0


def read_shard(run: VerifyRun, number: int, progress: Progress, pace: Pace | None = None) -> ShardResult:
    """Read the packs of one shard, from where an earlier attempt came to; the result that stands.

    Raises:
        FencedError: a newer attempt has taken over, or the run was closed.
    """
    plan = run.plan
    standing = plan.result_or_none(number)
    if standing is not None:
        return standing
    shard = plan.shard(number)
    attempt = plan.attempt(number)
    reached = attempt.resume(ShardResult, lambda _: b"") or ShardResult()
    saved_at = time.monotonic()
    with run.session.hold() as held:
        packs = [
            PackInfo(PackId(pack.id), pack.size_bytes, pack.blobs) for pack in shard.packs[reached.packs :]
        ]
        with closing(check_packs(held.repository, held.index, packs)) as checking:
            for checked in checking:
                reached = _with(reached, held, checked)
                progress(reached.packs, reached.bytes_read)
                if time.monotonic() - saved_at >= _SAVE_S:
                    attempt.save(reached)
                    saved_at = time.monotonic()
                if pace is not None:
                    wait_out(
                        pace.spend(checked.size_bytes), partial(progress, reached.packs, reached.bytes_read)
                    )
        if reached.damaged:
            held.confirm()  # what was not there may have been removed under us
    return plan.conclude(number, reached)


def _with(reached: ShardResult, held: HeldRepository, checked: PackChecked) -> ShardResult:
    # A pack that the index no longer names was pruned meanwhile, or mended away: nobody misses it.
    damaged = checked.problem is not None and held.index.has_pack(checked.pack)
    return ShardResult(
        packs=reached.packs + 1,
        blobs=reached.blobs + checked.blobs,
        bytes_read=reached.bytes_read + checked.size_bytes,
        damaged=(*reached.damaged, checked.pack) if damaged else reached.damaged,
    )
