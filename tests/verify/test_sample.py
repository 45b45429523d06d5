"""A sample of a snapshot's files: drawn by a seed, of about the size that was asked for, never empty."""

import os
from pathlib import Path

from holdfast.drill.form import parse_sample
from holdfast.drill.sample import Sample, draw
from holdfast.ids import BlobId
from holdfast.repository.snapshots import load_snapshot
from tests.support.engine import EngineRun, new_session


def test_samples_are_drawn_by_their_seed(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for number in range(200):
        folder = source / str(number % 7)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"file{number}").write_bytes(bytes(100))
    with new_session(tmp_path / "repository") as session:
        result = EngineRun.of(session, source).run()
        root = BlobId(bytes.fromhex(load_snapshot(session.repository, result.snapshot).snapshot.tree))  # type: ignore[arg-type]  # raw bytes of the document

        def sample(size: str, seed: bytes = b"seed") -> Sample:
            with session.hold() as held:
                return draw(held.loader, root, parse_sample(size), seed, lambda: None)

        tenth = sample("10%")
        assert 5 <= tenth.files <= 40
        assert (tenth.files_of_all, tenth.bytes_of_all) == (200, 20_000)
        assert tenth == sample("10%")
        assert tenth.paths != sample("10%", b"other").paths
        assert all(path.startswith(os.fsencode(source)) for path in tenth.paths)
        assert sample("950").files == 10
        assert sample("0.0001%").files == 1
        assert sample("99GiB").files == 200
