"""p(a given z): the attributes that a representation gives away, and how far that can be trusted.

INPUTS:
    table          results/EXPERIMENT/dataset/images.parquet
    attributes     results/EXPERIMENT/dataset/attributes.json
    shards         results/EXPERIMENT/RECOGNIZER/embeddings/shards
    samples_read   results/EXPERIMENT/RECOGNIZER/decoder/samples_read.bcolz
    samples_table  results/EXPERIMENT/RECOGNIZER/decoder/samples.parquet

OUTPUTS:
    recovered      results/EXPERIMENT/RECOGNIZER/recovery/recovered.parquet
    metrics        results/EXPERIMENT/RECOGNIZER/recovery/metrics.json
    figures        results/EXPERIMENT/RECOGNIZER/recovery/reliability.png
"""


rule recovery:
    """Recovers the attributes of held-out people from their embeddings, and probes the embeddings directly."""
    input:
        manifests=[
            "results/{experiment}{fold}/dataset/manifest-dataset.json",
            "results/{experiment}/{recognizer}/embeddings/manifest-embeddings.json",
            "results/{experiment}{fold}/{recognizer}/decoder/manifest-decoder_samples.json",
            *labels_manifests(),
        ],
        table=ancient(labelled("images.parquet")),
        attributes=ancient(labelled("attributes.json")),
        shards=ancient("results/{experiment}/{recognizer}/embeddings/shards"),
        samples_read=ancient("results/{experiment}{fold}/{recognizer}/decoder/samples_read.bcolz"),
        samples_table=ancient("results/{experiment}{fold}/{recognizer}/decoder/samples.parquet"),
    output:
        recovered="results/{experiment}{fold}/{recognizer}/recovery/recovered.parquet",
        metrics="results/{experiment}{fold}/{recognizer}/recovery/metrics.json",
        figures="results/{experiment}{fold}/{recognizer}/recovery/reliability.png",
        manifest="results/{experiment}{fold}/{recognizer}/recovery/manifest-recovery.json",
    log:
        "results/{experiment}/logs{fold}/{recognizer}/recovery.log",
    benchmark:
        "results/{experiment}/benchmarks{fold}/{recognizer}/recovery.tsv"
    conda:
        "../envs/attribute-recovery.yaml"
    threads: configuration.compute.threads
    resources:
        mem_mb=memory(4000),
        runtime=120,
    params:
        settings=section("recovery"),
        compute=section("compute"),
        seed=configuration.seed,
        n_boot=configuration.significance.bootstrap,
        code=code_of("recovery.recover:recover_attributes"),
    message:
        "Recovering attributes from recognizer {wildcards.recognizer}"
    script:
        "../scripts/recovery/recover.py"
