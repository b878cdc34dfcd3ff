"""Rule rates."""

from pydantic import TypeAdapter

from attribute_recovery.config_recognizers import RecognizerConfig
from attribute_recovery.tracking.scripts import data_paths, flat_metrics, recorded_script

if __name__ == "__main__":
    with recorded_script(snakemake) as record:
        from attribute_recovery.embeddings.rates import measure_rates

        metrics = measure_rates(
            TypeAdapter(RecognizerConfig).validate_python(snakemake.params.settings),
            snakemake.params.seed,
            snakemake.params.n_boot,
            **data_paths(snakemake),
        )
        record.log_metrics(flat_metrics(metrics))
