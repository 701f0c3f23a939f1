"""Lanes: one per connection. What must reach a partner waits here as a level (a link) or as an effect."""
