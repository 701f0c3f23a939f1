"""The `isthmus` command: every verb is also in the API, and says the same."""
