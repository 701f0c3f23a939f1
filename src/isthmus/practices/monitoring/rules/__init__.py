"""Pure decisions of monitoring and event management."""
