"""Plain-Python answers: what the strategies must leave in a table, computed row by row and without the package."""
