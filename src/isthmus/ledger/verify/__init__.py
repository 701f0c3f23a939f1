"""The verifier of the book: standard library only, and no line of code shared with the writer.

`python -m isthmus.ledger.verify book.sqlite | export.zip [--witness FILE] [--public-key HEX|FILE] [--json]`
exits 0 if nothing was touched and 1 with every finding named. The published format is enough to write
another one: `docs/reference/book-format.md`.
"""
