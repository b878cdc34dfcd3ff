"""Rule significance."""

from attribute_recovery.config import Compute
from attribute_recovery.config_significance import SignificanceSection
from attribute_recovery.tracking.scripts import data_paths, flat_metrics, recorded_script

if __name__ == "__main__":
    with recorded_script(snakemake) as record:
        from attribute_recovery.significance.analyse import analyse

        metrics = analyse(
            SignificanceSection.model_validate(snakemake.params.settings),
            snakemake.params.seed,
            Compute.model_validate(snakemake.params.compute),
            **data_paths(snakemake),
            recognizer=snakemake.wildcards.recognizer,
        )
        record.log_metrics(flat_metrics(metrics))
