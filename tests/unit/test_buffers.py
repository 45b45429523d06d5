"""Buffers that work hands on: how many are kept, and for what they are good."""

from holdfast.buffers import BufferPool

MIB = 1 << 20


def test_a_buffer_is_used_again_for_less_but_not_for_much_less() -> None:
    pool = BufferPool(64 * MIB)
    pool.give_back(pool.take(16 * MIB))

    assert pool.idle_bytes == 16 * MIB
    small = pool.take(4 * MIB)
    assert (len(small), pool.idle_bytes) == (4 * MIB, 16 * MIB)
    fitting = pool.take(10 * MIB)
    assert (len(fitting), pool.idle_bytes) == (10 * MIB, 0)

    pool.give_back(fitting)
    assert pool.idle_bytes == 16 * MIB, "all of it is there again, and not only what was asked for"
    assert len(pool.take(16 * MIB)) == 16 * MIB
    assert pool.idle_bytes == 0


def test_the_smallest_that_is_large_enough_is_taken() -> None:
    pool = BufferPool(64 * MIB)
    for buffer in [pool.take(size * MIB) for size in (16, 8, 12)]:
        pool.give_back(buffer)

    pool.take(9 * MIB)

    assert pool.idle_bytes == (16 + 8) * MIB


def test_no_more_is_kept_than_the_bound_and_nothing_when_no_work_comes() -> None:
    pool = BufferPool(20 * MIB)
    for buffer in [pool.take(8 * MIB) for _ in range(4)]:
        pool.give_back(buffer)
    assert pool.idle_bytes == 16 * MIB

    pool.let_go()

    assert pool.idle_bytes == 0
    assert len(pool.take(8 * MIB)) == 8 * MIB
