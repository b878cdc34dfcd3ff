"""Cross-fitting, where people are few: everything from the generator on is done once a fold, and pooled here.

INPUTS:
    table            results/EXPERIMENT/dataset/images.parquet, with the fold of each image
    attributes       results/EXPERIMENT/dataset/attributes.json
    and of each fold results/EXPERIMENT/fold_K/..., what its stages wrote

OUTPUTS:
    fold_table       results/EXPERIMENT/fold_K/dataset/images.parquet
    fold_attributes  results/EXPERIMENT/fold_K/dataset/attributes.json
    and in the places that they have without folds, pooled: metrics, tables and pictures of each stage

There are such rules where `dataset.splits` is by folds. A rule of a stage then runs with the wildcard `fold` as
`/fold_1` and so on; without folds it is empty.
"""

# Of the rules that run once a fold, which outputs the report reads, by name; None: all.
POOLED = {
    "generator_train": ["card"],
    "generator_codes": ["metrics", "figure", "figure_decoded"],
    "attributes_heads": ["metrics"],
    "decoder_samples": ["metrics", "figure", "figure_decoded"],
    "recovery": None,
    "significance": None,
    "counterfactuals": None,
}


def pooled_outputs(name: str) -> dict[str, object]:
    """The outputs of the rule that pools another one, in the places that those have without folds."""
    outputs = dict(getattr(rules, name).output.items())
    chosen = POOLED[name] or [key for key in outputs if key != "manifest"]
    places = {key: without_fold(outputs[key]) for key in [*chosen, "manifest"]}
    return {key: directory(place) if not Path(place).suffix else place for key, place in places.items()}


def of_folds(path: object) -> list[str]:
    """A path with the wildcard `fold` in every fold."""
    return [plain_path(path).replace("{fold}", f"/fold_{k}") for k in range(1, configuration.folds + 1)]


def without_fold(path: object) -> str:
    """A path with the wildcard `fold`, where there is none."""
    return plain_path(path).replace("{fold}", "")


if configuration.folds:

    rule fold:
        """Says who is trained on, who calibrates and who is held out in one fold."""
        input:
            manifests=[
                "results/{experiment}/dataset/manifest-dataset.json",
            ],
            table=ancient("results/{experiment}/dataset/images.parquet"),
            attributes=ancient("results/{experiment}/dataset/attributes.json"),
        output:
            fold_table="results/{experiment}{fold}/dataset/images.parquet",
            fold_attributes="results/{experiment}{fold}/dataset/attributes.json",
            manifest="results/{experiment}{fold}/dataset/manifest-dataset.json",
        log:
            "results/{experiment}/logs{fold}/fold.log",
        benchmark:
            "results/{experiment}/benchmarks{fold}/fold.tsv"
        conda:
            "../envs/attribute-recovery.yaml"
        resources:
            mem_mb=memory(1000),
            runtime=10,
        params:
            number=lambda wildcards: int(wildcards.fold.rpartition("_")[2]),
            folds=configuration.folds,
            code=code_of("folds.assign:assign_roles"),
        message:
            "Dealing out the people of {wildcards.experiment}{wildcards.fold}"
        script:
            "../scripts/folds/assign.py"

    for pooled in POOLED:

        rule:
            name:
                f"pooled_{pooled}"
            input:
                manifests=[
                    *of_folds(getattr(rules, pooled).output.manifest),
                    *of_folds("results/{experiment}{fold}/dataset/manifest-dataset.json"),
                ],
            output:
                **pooled_outputs(pooled),
            log:
                without_fold(getattr(rules, pooled).log[0]).replace(".log", "-pooled.log"),
            benchmark:
                without_fold(getattr(rules, pooled).benchmark).replace(".tsv", "-pooled.tsv")
            conda:
                "../envs/attribute-recovery.yaml"
            resources:
                mem_mb=memory(2000),
                runtime=10,
            params:
                folds=configuration.folds,
                code=code_of("folds.pool:pool_stage"),
            message:
                f"Pooling what {pooled} found in every fold"
            script:
                "../scripts/folds/pool.py"
