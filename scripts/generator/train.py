"""Rule generator_train."""

from pydantic import TypeAdapter

from attribute_recovery.config import Compute, GeneratorConfig
from attribute_recovery.tracking.scripts import checkpoint_path, data_paths, flat_metrics, recorded_script

if __name__ == "__main__":
    with recorded_script(snakemake) as record:
        from attribute_recovery.generator.prepare import prepare_generator

        metrics = prepare_generator(
            TypeAdapter(GeneratorConfig).validate_python(snakemake.params.settings),
            snakemake.params.seed,
            Compute.model_validate(snakemake.params.compute),
            **data_paths(snakemake),
            checkpoint=checkpoint_path(snakemake),
        )
        record.log_metrics(flat_metrics(metrics))
