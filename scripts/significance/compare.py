"""Rule significance_compare."""

from pathlib import Path

from attribute_recovery.config_significance import SignificanceSection
from attribute_recovery.tracking.scripts import data_paths, flat_metrics, recorded_script

if __name__ == "__main__":
    with recorded_script(snakemake) as record:
        from attribute_recovery.significance.compare import compare

        metrics = compare(
            SignificanceSection.model_validate(snakemake.params.settings),
            snakemake.params.seed,
            experiment_dir=Path("results") / snakemake.wildcards.experiment,
            recognizers=snakemake.params.recognizers,
            **data_paths(snakemake),
        )
        record.log_metrics(flat_metrics(metrics))
