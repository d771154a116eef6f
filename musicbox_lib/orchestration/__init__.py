"""Tasks, DAG runs and jobs: how the programs of `jobs/` are started."""
