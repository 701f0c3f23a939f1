"""Pure decisions of problem management."""
