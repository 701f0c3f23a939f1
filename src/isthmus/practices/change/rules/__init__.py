"""Pure decisions of change enablement: states, content, eligibility, risk, schedule and the gate."""
