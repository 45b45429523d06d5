"""restic's REST servers, and what rclone reaches: through a child that is such a server."""
