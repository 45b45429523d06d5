"""Sizes that choose a path: when a page ends, a file is cut, a batch is flushed, a checkpoint is due.

The defaults are what was measured to be good. They are one value, handed in where a repository is opened for work
(`RepositorySession`), so that a test with small ones goes through every path in seconds: several pages, shards,
segments, batches and checkpoints of a tree of a few MiB. Nothing that is stored depends on them, but for the seams of
segments: a file that was cut at others shares fewer chunks with its earlier version.
"""

from dataclasses import dataclass, field
from typing import Final

_MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupSizes:
    """Of a backup.

    first_page_entries, page_entries: how many entries the first and the largest page have; those between grow.
    part_records: records of a page's plan in one document. records_at_hand: so many are written, and no directory that
    is open then can become one record.
    segment_bytes: a file of one and a half of it or more is cut into segments of that much data.
    shard_bytes, most_shard_bytes: a shard has so much to read at least, where the page has, and at most. Some 20 to 30
    ms of processor time go into a shard, whatever is in it: an activity, documents, an index file.
    shard_files: and so many files at most. A worker has some 2 KiB for each at hand, twice while one shard ends beside
    the next one's beginning.
    small_file_bytes: smaller files are read whole, in batches of batch_files or batch_bytes.
    checkpoint_bytes: so much more is durable when a checkpoint is written. At twice the distance from the last one
    packs are sent off early, at three times reading waits for them; the mark is as far ahead at most.
    """

    first_page_entries: int = 4_096
    page_entries: int = 131_072
    part_records: int = 10_000
    records_at_hand: int = 40_000
    segment_bytes: int = 512 * _MIB
    shard_bytes: int = 64 * _MIB
    most_shard_bytes: int = 1024 * _MIB
    shard_files: int = 4_096
    small_file_bytes: int = 8 * _MIB
    batch_files: int = 256
    batch_bytes: int = 32 * _MIB
    checkpoint_bytes: int = 64 * _MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreSizes:
    """Of a restore.

    first_page_entries, page_entries: entries of the first page, and of each other one.
    shard_bytes, shard_files: what a shard writes at most. A larger file, or one of more than segment_blobs, is cut
    into segments that are shards of their own.
    part_records: records of a plan in one document.
    group_bytes: of files that are fetched together: a blob that several of them have is fetched once.
    flush_files, flush_bytes: a batch of either size is flushed as soon as the one before it is.
    batch_files, batch_bytes: a batch of either size waits for that.
    """

    first_page_entries: int = 3_000
    page_entries: int = 20_000
    shard_bytes: int = 512 * _MIB
    shard_files: int = 5_000
    segment_blobs: int = 250_000
    part_records: int = 10_000
    group_bytes: int = 512 * _MIB
    flush_files: int = 2_500
    flush_bytes: int = 64 * _MIB
    batch_files: int = 4_096
    batch_bytes: int = 256 * _MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifySizes:
    """Of a verification: the work that a shard has at least and at most (verify/plan.py says what work is)."""

    shard_work: int = 128 * _MIB
    most_shard_work: int = 2048 * _MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """All of them."""

    backup: BackupSizes = field(default_factory=BackupSizes)
    restore: RestoreSizes = field(default_factory=RestoreSizes)
    verify: VerifySizes = field(default_factory=VerifySizes)
