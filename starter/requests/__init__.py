"""What was typed becomes an order for a run."""
