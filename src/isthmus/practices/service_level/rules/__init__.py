"""Pure decisions of service level management."""
