"""Rule decoder_samples."""

from pydantic import TypeAdapter

from attribute_recovery.config import Compute, DecoderConfig
from attribute_recovery.tracking.scripts import data_paths, flat_metrics, recorded_script

if __name__ == "__main__":
    with recorded_script(snakemake) as record:
        from attribute_recovery.decoder.attacks import sample_and_attack

        metrics = sample_and_attack(
            TypeAdapter(DecoderConfig).validate_python(snakemake.params.settings),
            snakemake.params.seed,
            snakemake.params.n_boot,
            Compute.model_validate(snakemake.params.compute),
            **data_paths(snakemake),
        )
        record.log_metrics(flat_metrics(metrics))
