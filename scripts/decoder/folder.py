"""Rule decoder_folder."""

from pathlib import Path

from attribute_recovery.config import Compute
from attribute_recovery.config_authors import FolderSection
from attribute_recovery.tracking.scripts import data_paths, flat_metrics, recorded_script

if __name__ == "__main__":
    with recorded_script(snakemake) as record:
        from attribute_recovery.decoder.authors.run import run_on_folder

        metrics = run_on_folder(
            FolderSection.model_validate(snakemake.params.settings),
            Path(snakemake.params.models),
            snakemake.params.seed,
            Compute.model_validate(snakemake.params.compute),
            **data_paths(snakemake),
        )
        record.log_metrics(flat_metrics(metrics))
