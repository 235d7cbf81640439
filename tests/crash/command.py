"""`ocd …` that knows the test jobs: `python -m tests.crash.command rerun --dead`."""

from __future__ import annotations

if __name__ == "__main__":
    import tests.crash.jobs  # noqa: F401 - declares them
    from tasks.cli import main

    main()
