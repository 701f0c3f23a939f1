"""Pure decisions of incident management."""
