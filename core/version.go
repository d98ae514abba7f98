package core

// Version is the version of the package; pyproject.toml and the Python package have the same (a test compares them).
const Version = "0.1.0"
