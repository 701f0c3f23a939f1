"""A Jira-shaped project: its issues and workflow, its query language and its HTTP surface."""
