"""A ServiceNow-shaped instance: its rules, its query language and its HTTP surface."""
