"""The planner: what one walk event means for the backup. Keeps counts and records; reads no file content.

A directory in which nothing differs from the parent collapses to one record that names the parent's tree, as long as
its first record is still at hand; so an unchanged tree of millions of files makes a plan of a few records.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict

from holdfast.backup.documents import (
    Enter,
    Keep,
    Lacks,
    OpenDirectory,
    PlanRecord,
    Read,
    Remark,
    Unreadable,
)
from holdfast.backup.plan.parent import Frame, ParentView
from holdfast.backup.plan.shards import Planned, Segment, cut_segments
from holdfast.backup.store.file_outcomes import failed
from holdfast.backup.store.large_files import extents
from holdfast.format.coverage import Gap, mark_of
from holdfast.format.tree import Node
from holdfast.repository.index.map import IndexMap
from holdfast.runs.plan import Leave
from holdfast.sizes import BackupSizes
from holdfast.source.change import is_unchanged
from holdfast.source.events import EnterDirectory, Entry, Files, LeaveDirectory, LeftOut, Trouble, WalkEvent
from holdfast.source.events import Unreadable as UnreadableEvent
from holdfast.source.metadata import IncompleteNodeError
from holdfast.source.open_file import open_regular_at
from holdfast.source.spec import SourceSpec
from holdfast.terms import SelectionTotals


class Planner:
    """Turns walk events into plan records and files to read."""

    def __init__(
        self,
        index: IndexMap,
        parent: ParentView,
        spec: SourceSpec,
        node_of: Callable[[Entry], Node],
        write_records: Callable[[list[PlanRecord]], None],
        *,
        sizes: BackupSizes,
        distrusts_parent: bool,
    ) -> None:
        """distrusts_parent: look for each blob of unchanged files now, because a commit has missed some of them."""
        self._sizes = sizes
        self._distrusts_parent = distrusts_parent
        self._index = index
        self._parent = parent
        self._spec = spec
        self._node_of = node_of
        self._write_records = write_records
        self._records: list[PlanRecord] = []
        self._counts: dict[str, int] = asdict(SelectionTotals())
        self.to_read: list[Planned] = []
        self.bytes_to_read = 0
        self.trouble: Unreadable | None = None
        """The last one of what could not be read."""

    def take(self, event: WalkEvent) -> None:
        """One event of the walk."""
        match event:
            case Files():
                self._files(event)
            case Entry():
                self._entry_or_error(event)
            case EnterDirectory():
                self._enter(event)
            case LeaveDirectory():
                if event.troubles:
                    self._lacks(Gap.UNREADABLE)
                self._leave()
            case _:
                self._tell((event,))
        if event.troubles:
            self._tell(event.troubles)
        if len(self._records) >= self._sizes.records_at_hand:
            self.finish()

    def finish(self) -> None:
        """Write the records at hand; directories that are open now can no longer collapse."""
        self._write_records(self._records)
        self._records = []
        for frame in self._parent.frames:
            frame.record = None

    def totals(self) -> SelectionTotals:
        """The counts so far."""
        return SelectionTotals(**(self._counts | {"bytes_to_read": self.bytes_to_read}))

    def open_directories(self) -> tuple[OpenDirectory, ...]:
        """The directories that the walk is inside of."""
        return self._parent.open_directories()

    def _enter(self, event: EnterDirectory) -> None:
        node = event.node
        frame = self._parent.enter(event.name, node)
        frame.record = len(self._records)
        self._records.append(Enter(node))

    def _leave(self) -> None:
        frame = self._parent.leave()
        same = self._is_same_directory(frame)
        self._count(_directory_kind(frame, same=same))
        if frame.unchanged and frame.record is not None and frame.node is not None and frame.parent_tree:
            del self._records[frame.record :]
            node = frame.node.with_subtree(frame.parent_tree, mark_of(frame.gaps))
            self._records.append(Keep(node))
        else:
            self._records.append(Leave())
        self._parent.saw(same=same)

    @staticmethod
    def _is_same_directory(frame: Frame) -> bool:
        if not frame.unchanged or frame.parent_node is None or frame.parent_tree is None:
            return False
        # A frame taken over from an earlier page has lost its node: the commit compares by hash anyway.
        if frame.node is None:
            return False
        return frame.node.with_subtree(frame.parent_tree, mark_of(frame.gaps)) == frame.parent_node

    def _entry_or_error(self, event: Entry) -> None:
        try:
            self._entry(event)
        except OSError as error:
            self._unreadable(UnreadableEvent(event.path, failed(error).message))

    def _entry(self, event: Entry) -> None:
        try:
            node = self._node_of(event)
        except IncompleteNodeError as error:
            node = error.node
            self._lose(event.path, error.message)
        self._count("others")
        self._records.append(Keep(node))
        self._parent.saw(same=node == self._parent.lookup(event.name))

    def _files(self, event: Files) -> None:
        """A run of files, each in as few steps as it takes."""
        spec = self._spec
        looks_closer = spec.ignore_ctime or spec.with_atime
        parent_nodes = self._parent.frames[-1].parent_nodes
        records = self._records
        kept = kept_bytes = new = 0
        for name, stat in zip(event.names, event.stats, strict=True):
            before = parent_nodes.get(name)
            if (
                before is None
                or not is_unchanged(stat, before, spec)
                or (self._distrusts_parent and not self._index.has_content(before.content or ()))
            ):
                new += before is None
                self._read_file(event, name, stat, known=before is not None)
                continue
            kept += 1
            kept_bytes += stat.st_size
            if looks_closer or not _is_on_device(before, stat):
                self._keep_content(Entry(event.directory, name, stat, event.directory_fd), before)
            else:
                # The change time is the same, so nothing of its metadata has changed either.
                records.append(Keep(before))
        self._counts["bytes_total"] += kept_bytes
        self._counts["files_unmodified"] += kept
        self._counts["files_new"] += new
        self._counts["files_changed"] += len(event.names) - kept - new
        self._parent.saw_files(len(event.names), same=kept == len(event.names))

    def _keep_content(self, entry: Entry, before: Node) -> None:
        """Keep what a file holds, and read its metadata again."""
        try:
            node = self._node_of(entry)
        except IncompleteNodeError as error:
            node = error.node
            self._lose(entry.path, error.message)
        except OSError as error:
            self._unreadable(UnreadableEvent(entry.path, failed(error).message))
            return
        node = node.with_content(before.content_ids, size=before.size)
        self._records.append(Keep(node))
        if node != before:
            self._parent.differs()

    def _read_file(self, event: Files, name: bytes, stat: os.stat_result, *, known: bool) -> None:
        size, inode = stat.st_size, stat.st_ino
        self._counts["bytes_total"] += size
        self._counts["files_to_read"] += 1
        if size < self._sizes.segment_bytes:
            self.bytes_to_read += size
            self.to_read.append(Planned(event.directory, name, size, inode, known, size))
            self._records.append(Read(name, 1, known))
            return
        segments = _segments(event.directory_fd, name, stat, self._sizes.segment_bytes)
        for segment in segments:
            self.bytes_to_read += segment.bytes_to_read
            self.to_read.append(
                Planned(
                    event.directory,
                    name,
                    size,
                    inode,
                    known,
                    segment.bytes_to_read,
                    segment.start,
                    segment.end,
                )
            )
        self._records.append(Read(name, len(segments), known))

    def _unreadable(self, event: UnreadableEvent) -> None:
        self._count("errors")
        self._parent.saw(same=False)
        self.trouble = Unreadable(event.path, event.message)
        self._records.append(self.trouble)
        self._lacks(Gap.UNREADABLE)

    def _lacks(self, gap: Gap) -> None:
        """The innermost directory is not read whole. Its record goes when the directory collapses: the frame knows."""
        gaps = self._parent.frames[-1].gaps
        if gap not in gaps:
            gaps.add(gap)
            self._records.append(Lacks(gap))

    def _tell(self, troubles: Sequence[Trouble]) -> None:
        """What goes along with an event. A directory of which something is told does not collapse."""
        for trouble in troubles:
            if isinstance(trouble, UnreadableEvent):
                self._unreadable(trouble)
            elif isinstance(trouble, LeftOut):
                self._lacks(trouble.gap)
            else:
                self._remark(trouble.path, trouble.message, lost=trouble.lost)

    def _remark(self, path: bytes, message: str, *, lost: bool) -> None:
        self._count("errors" if lost else "warnings")
        self._parent.differs()
        self._records.append(Remark(path, message, lost))

    def _lose(self, path: bytes, message: str) -> None:
        self._remark(path, message, lost=True)

    def _count(self, name: str) -> None:
        self._counts[name] += 1


def _segments(directory: int, name: bytes, stat: os.stat_result, segment_bytes: int) -> list[Segment]:
    """The segments of a large file of an open directory."""
    size = stat.st_size
    try:
        fd = open_regular_at(directory, name)
    except OSError:
        return [Segment(start=0, end=-1, bytes_to_read=size)]
    try:
        # A dense file is one open-ended extent: give it the length that it has now.
        found = [
            extent if extent.length >= 0 else type(extent)(extent.offset, size)
            for extent in extents(fd, stat, 0, -1)
        ]
        return cut_segments(found, segment_bytes)
    finally:
        os.close(fd)


def _is_on_device(before: Node, stat: os.stat_result) -> bool:
    """Whether the node's device is right; only hard links need one (see `Node.create`), restic gives it to all."""
    return before.device_id == stat.st_dev or (before.device_id == 0 and stat.st_nlink == 1)


def _directory_kind(frame: Frame, *, same: bool) -> str:
    if frame.parent_node is None:
        return "dirs_new"
    return "dirs_unmodified" if same else "dirs_changed"
