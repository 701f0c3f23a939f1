"""What every HTTP resource of the hub shares: the caller, problems, paging, versions, idempotency, limits."""
