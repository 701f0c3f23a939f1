"""The pump: from durable messages to records, exactly once, in order, with everything that fails in sight."""
