"""JudgeBench: an evaluation harness for language models whose judges are on trial before their word counts.

import judgebench

results = judgebench.run("results/try", suite=["mini-math"], model=["hf/examples/tiny-tuned"])
results.ratings
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from judgebench.api import Results, audit, compare, import_files, judge, load, meta_eval, run
    from judgebench.stages.settings import Settings

__version__ = "0.1.0"
__all__ = ["Results", "Settings", "audit", "compare", "import_files", "judge", "load", "meta_eval", "run"]


def __getattr__(name: str) -> Any:
    """The public names, loaded when first used, so that importing the package costs nothing."""
    if name == "Settings":
        from judgebench.stages.settings import Settings

        return Settings
    if name in __all__:
        from judgebench import api

        return getattr(api, name)
    raise AttributeError(f"module 'judgebench' has no attribute {name!r}")
