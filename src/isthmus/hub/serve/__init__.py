"""`isthmus serve`: `front`, and the processes of the engine (`pump`, `lanes`, `keeper`), under one supervisor."""
