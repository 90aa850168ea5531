from .cluster import (
    resume_on_cluster as resume_on_cluster,
    run_on_cluster as run_on_cluster,
)
