"""Rule report."""

from pathlib import Path

from attribute_recovery.config import ReportSection
from attribute_recovery.tracking.scripts import data_paths, flat_metrics, recorded_script

if __name__ == "__main__":
    with recorded_script(snakemake) as record:
        from attribute_recovery.report.page import write_report

        metrics = write_report(
            ReportSection.model_validate(snakemake.params.settings),
            experiment_dir=Path("results") / snakemake.wildcards.experiment,
            recognizers=snakemake.params.recognizers,
            left_out=snakemake.params.left_out,
            **data_paths(snakemake),
        )
        record.log_metrics(flat_metrics(metrics))
