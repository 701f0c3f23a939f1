"""The console: one module per screen, each answering one question of the people who operate."""
