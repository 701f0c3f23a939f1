"""Pure decisions of on-call and escalation."""
