"""Durable positions: what a checkpoint may speak of."""

from holdfast.backup.store.frontier import DurablePositions, Position


def test_a_position_is_durable_only_when_the_frontier_has_passed_its_last_blob() -> None:
    positions = DurablePositions(Position(files=0))
    positions.reached(Position(files=1, bytes_read=10), next_sequence=3)
    positions.reached(Position(files=2, bytes_read=20), next_sequence=5)

    assert positions.advance(2).files == 0
    assert positions.advance(3).files == 1
    assert positions.advance(4).files == 1
    assert positions.advance(5).files == 2


def test_a_position_without_new_blobs_waits_for_the_blobs_before_it() -> None:
    positions = DurablePositions(Position(files=0))
    positions.reached(Position(files=1), next_sequence=4)
    positions.reached(Position(files=2), next_sequence=4)

    assert positions.advance(3).files == 0
    assert positions.advance(4).files == 2


def test_reading_a_file_anew_forgets_the_positions_inside_it() -> None:
    positions = DurablePositions(Position(files=0))
    positions.reached(Position(files=3, bytes_read=30), next_sequence=1)
    positions.reached(Position(files=3, offset=8, chunks=1, bytes_read=38), next_sequence=2)
    positions.reached(Position(files=3, offset=16, chunks=2, bytes_read=46), next_sequence=3)

    positions.restart_file(Position(files=3, bytes_read=46))

    assert positions.advance(3) == Position(files=3, bytes_read=30)


def test_reading_anew_takes_back_a_durable_position_inside_the_file() -> None:
    positions = DurablePositions(Position(files=0))
    positions.reached(Position(files=3, offset=8, chunks=1, bytes_read=8), next_sequence=1)
    assert positions.advance(1).offset == 8

    positions.restart_file(Position(files=3, bytes_read=8))

    assert positions.durable.offset == 0
