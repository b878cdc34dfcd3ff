"""Rules that pool what another rule wrote in every fold."""

from pathlib import Path

from attribute_recovery.tracking.scripts import data_paths, flat_metrics, recorded_script

if __name__ == "__main__":
    with recorded_script(snakemake) as record:
        from attribute_recovery.folds.pool import pool_stage

        metrics = pool_stage(
            snakemake.params.folds,
            experiment_dir=Path("results") / snakemake.wildcards.experiment,
            outputs=data_paths(snakemake),
        )
        record.log_metrics(flat_metrics(metrics))
