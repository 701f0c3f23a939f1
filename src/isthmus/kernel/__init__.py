"""Pure rules and vocabulary: no Django, no I/O, no clock. This package can be read alone."""
