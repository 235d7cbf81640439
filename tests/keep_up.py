"""`ocd night --keep` without the night: servers, worker and Flower of a home are up and stay so."""

from __future__ import annotations

if __name__ == "__main__":
    from tasks.commands.order import workers

    with workers(keep=True):
        pass
