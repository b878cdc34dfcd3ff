"""Rule generator_codes."""

from attribute_recovery.config import Compute
from attribute_recovery.tracking.scripts import data_paths, flat_metrics, recorded_script

if __name__ == "__main__":
    with recorded_script(snakemake) as record:
        from attribute_recovery.generator.quality import encode_and_measure

        metrics = encode_and_measure(
            Compute.model_validate(snakemake.params.compute),
            **data_paths(snakemake),
        )
        record.log_metrics(flat_metrics(metrics))
