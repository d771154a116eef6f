"""Speed, measured: each module is a bench with `run(size) -> rows`."""
