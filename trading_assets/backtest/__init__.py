"""Walk-forward backtests: folds, engine, metrics, statistics, baselines and the report."""
