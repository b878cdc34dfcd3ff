"""Rule fold."""

from attribute_recovery.tracking.scripts import data_paths, recorded_script

if __name__ == "__main__":
    with recorded_script(snakemake):
        from attribute_recovery.folds.assign import assign_roles

        assign_roles(snakemake.params.number, snakemake.params.folds, **data_paths(snakemake))
