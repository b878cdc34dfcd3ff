"""The images that everything is measured on: the default world, rendered, or faces that a user brings.

INPUTS:
    source      tables, pairs and the detector that brought faces are read from; none for the default world

OUTPUTS:
    images      results/EXPERIMENT/dataset/images.bcolz
    table       results/EXPERIMENT/dataset/images.parquet
    attributes  results/EXPERIMENT/dataset/attributes.json
    report      results/EXPERIMENT/dataset/report.json
    pairs       results/EXPERIMENT/dataset/pairs.parquet
"""


rule dataset:
    """Renders the default world's people with their true attributes, or reads brought faces and aligns them."""
    input:
        source=dataset_source(),
    output:
        images=directory("results/{experiment}/dataset/images.bcolz"),
        table="results/{experiment}/dataset/images.parquet",
        attributes="results/{experiment}/dataset/attributes.json",
        report="results/{experiment}/dataset/report.json",
        pairs="results/{experiment}/dataset/pairs.parquet",
        manifest="results/{experiment}/dataset/manifest-dataset.json",
    log:
        "results/{experiment}/logs/dataset.log",
    benchmark:
        "results/{experiment}/benchmarks/dataset.tsv"
    conda:
        "../envs/attribute-recovery.yaml"
    threads: configuration.compute.threads
    resources:
        mem_mb=memory(4000),
        runtime=60,
    params:
        settings=section("dataset"),
        compute=section("compute"),
        seed=configuration.seed,
        photographs=photographs_of,
        code=code_of("dataset.prepare:prepare_dataset"),
    message:
        "Preparing the images of {wildcards.experiment}"
    script:
        "../scripts/dataset/prepare.py"
