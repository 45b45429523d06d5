"""Pauses, resumes, runs and removes a schedule that the server has."""

from datetime import datetime

from temporalio.client import Client, ScheduleBackfill, ScheduleOverlapPolicy


async def pause(client: Client, name: str, note: str) -> None:
    """Let its times pass until it is resumed."""
    await client.get_schedule_handle(name).pause(note=note or "paused by holdfast")


async def resume(client: Client, name: str, note: str) -> None:
    """Let it run again."""
    await client.get_schedule_handle(name).unpause(note=note or "resumed by holdfast")


async def trigger(client: Client, name: str) -> None:
    """Run it once, now."""
    await client.get_schedule_handle(name).trigger()


async def delete(client: Client, name: str) -> None:
    """Remove it from the server."""
    await client.get_schedule_handle(name).delete()


async def backfill(client: Client, name: str, since: datetime, until: datetime) -> None:
    """Run its times between the two, one after the other."""
    times = ScheduleBackfill(start_at=since, end_at=until, overlap=ScheduleOverlapPolicy.BUFFER_ALL)
    await client.get_schedule_handle(name).backfill(times)
