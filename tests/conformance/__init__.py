"""Every strategy on every path, against the models of ``tests/oracle``.

A strategy, or an option of one, enters by an entry in ``cases.py``: its arguments, its model, and the sources that show what it does. Everything
in ``test_strategies.py`` then holds for it, and ``test_random.py`` draws sources nobody thought of.
"""

import pytest

pytest.register_assert_rewrite("tests.conformance.loading")
