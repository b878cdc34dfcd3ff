"""Rule embeddings."""

from attribute_recovery.config import Compute, EmbeddingsSection
from attribute_recovery.tracking.scripts import data_paths, flat_metrics, recorded_script

if __name__ == "__main__":
    with recorded_script(snakemake) as record:
        from attribute_recovery.embeddings.extract import extract_embeddings

        metrics = extract_embeddings(
            EmbeddingsSection.model_validate(snakemake.params.settings),
            Compute.model_validate(snakemake.params.compute),
            **data_paths(snakemake),
        )
        record.log_metrics(flat_metrics(metrics))
