"""`isthmus serve`: two processes, `front` and `work`, under one supervisor."""
