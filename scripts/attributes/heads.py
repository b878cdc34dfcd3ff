"""Rule attributes_heads."""

from pydantic import TypeAdapter

from attribute_recovery.config import Compute
from attribute_recovery.config_attributes import HeadsConfig
from attribute_recovery.tracking.scripts import checkpoint_path, data_paths, flat_metrics, recorded_script

if __name__ == "__main__":
    with recorded_script(snakemake) as record:
        from attribute_recovery.attributes.prepare import prepare_heads

        metrics = prepare_heads(
            TypeAdapter(HeadsConfig).validate_python(snakemake.params.settings),
            snakemake.params.seed,
            Compute.model_validate(snakemake.params.compute),
            **data_paths(snakemake),
            checkpoint=checkpoint_path(snakemake),
        )
        record.log_metrics(flat_metrics(metrics))
