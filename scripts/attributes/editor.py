"""Rule attributes_editor."""

from attribute_recovery.config import Compute
from attribute_recovery.config_attributes import Editor
from attribute_recovery.tracking.scripts import checkpoint_path, data_paths, flat_metrics, recorded_script

if __name__ == "__main__":
    with recorded_script(snakemake) as record:
        from attribute_recovery.attributes.edit import train_editor

        metrics = train_editor(
            Editor.model_validate(snakemake.params.settings),
            snakemake.params.seed,
            Compute.model_validate(snakemake.params.compute),
            **data_paths(snakemake),
            checkpoint=checkpoint_path(snakemake),
        )
        record.log_metrics(flat_metrics(metrics))
