"""Plain-Python answers: what each strategy must leave in a table, computed row by row and without the package.

A model holds one table. ``load`` takes the rows of a source and the load time, and gives the counts; ``table`` is the content. The rules
that they follow are written at each model; ``test_*`` beside them hold a worked example of each rule.
"""
