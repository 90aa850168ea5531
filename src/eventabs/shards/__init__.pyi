from .merged_run import MergedRun as MergedRun, merge as merge
