"""One file per revision; they import nothing of ours, so that they mean the same for ever."""
