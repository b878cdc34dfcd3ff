"""Rule dataset."""

from pathlib import Path

from pydantic import TypeAdapter

from attribute_recovery.config import Compute, DatasetConfig
from attribute_recovery.tracking.private import private_files
from attribute_recovery.tracking.scripts import data_paths, flat_metrics, recorded_script

if __name__ == "__main__":
    with recorded_script(snakemake) as record, private_files():
        from attribute_recovery.dataset.prepare import prepare_dataset

        metrics = prepare_dataset(
            TypeAdapter(DatasetConfig).validate_python(snakemake.params.settings),
            snakemake.params.seed,
            Compute.model_validate(snakemake.params.compute),
            **data_paths(snakemake),
            cache=Path(".cache/inductor").absolute(),
        )
        record.log_metrics(flat_metrics(metrics))
