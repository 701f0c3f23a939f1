"""Django's SQLite backend behind the turnstile."""
