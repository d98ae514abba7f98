"""``python -m ematix_flow.cli``."""

from __future__ import annotations

import sys

from ematix_flow.cli import main

sys.exit(main())
