"""Only a list of plugins: each holds the fixtures of one idea."""

pytest_plugins = [
    "tests.fix_db",
    "tests.fix_environment",
]
