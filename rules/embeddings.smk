"""Where the recognizer puts each image, and how well it tells people apart.

INPUTS:
    images   results/EXPERIMENT/dataset/images.bcolz
    table    results/EXPERIMENT/dataset/images.parquet
    weights  results/EXPERIMENT/RECOGNIZER/recognizer/weights.safetensors
    card     results/EXPERIMENT/RECOGNIZER/recognizer/card.json
    report   results/EXPERIMENT/dataset/report.json
    pairs    results/EXPERIMENT/dataset/pairs.parquet
    source   the threshold of another experiment, where the configuration takes that

OUTPUTS:
    shards   results/EXPERIMENT/RECOGNIZER/embeddings/shards
    rates    results/EXPERIMENT/RECOGNIZER/recognizer/threshold.json
    curve    results/EXPERIMENT/RECOGNIZER/recognizer/det.parquet
    metrics  results/EXPERIMENT/RECOGNIZER/recognizer/metrics.json
"""


rule embeddings:
    """Embeds every image, into shards."""
    input:
        manifests=[
            "results/{experiment}/dataset/manifest-dataset.json",
            "results/{experiment}/{recognizer}/recognizer/manifest-recognizer.json",
        ],
        images=ancient("results/{experiment}/dataset/images.bcolz"),
        table=ancient("results/{experiment}/dataset/images.parquet"),
        weights=ancient("results/{experiment}/{recognizer}/recognizer/weights.safetensors"),
        card=ancient("results/{experiment}/{recognizer}/recognizer/card.json"),
    output:
        shards=directory("results/{experiment}/{recognizer}/embeddings/shards"),
        manifest="results/{experiment}/{recognizer}/embeddings/manifest-embeddings.json",
    log:
        "results/{experiment}/logs/{recognizer}/embeddings.log",
    benchmark:
        "results/{experiment}/benchmarks/{recognizer}/embeddings.tsv"
    conda:
        "../envs/attribute-recovery.yaml"
    threads: configuration.compute.threads
    resources:
        mem_mb=memory(4000),
        runtime=60,
    params:
        settings=section("embeddings"),
        compute=section("compute"),
        code=code_of("embeddings.extract:extract_embeddings"),
    message:
        "Embedding all images with recognizer {wildcards.recognizer}"
    script:
        "../scripts/embeddings/extract.py"


rule rates:
    """Fixes the threshold and measures error rates on the split test, and on standard pairs where there are some."""
    input:
        manifests=[
            "results/{experiment}/dataset/manifest-dataset.json",
            "results/{experiment}/{recognizer}/recognizer/manifest-recognizer.json",
            "results/{experiment}/{recognizer}/embeddings/manifest-embeddings.json",
        ],
        source=threshold_source,
        table=ancient("results/{experiment}/dataset/images.parquet"),
        report=ancient("results/{experiment}/dataset/report.json"),
        pairs=ancient("results/{experiment}/dataset/pairs.parquet"),
        shards=ancient("results/{experiment}/{recognizer}/embeddings/shards"),
        card=ancient("results/{experiment}/{recognizer}/recognizer/card.json"),
    output:
        rates="results/{experiment}/{recognizer}/recognizer/threshold.json",
        curve="results/{experiment}/{recognizer}/recognizer/det.parquet",
        metrics="results/{experiment}/{recognizer}/recognizer/metrics.json",
        manifest="results/{experiment}/{recognizer}/recognizer/manifest-rates.json",
    log:
        "results/{experiment}/logs/{recognizer}/rates.log",
    benchmark:
        "results/{experiment}/benchmarks/{recognizer}/rates.tsv"
    conda:
        "../envs/attribute-recovery.yaml"
    threads: configuration.compute.threads
    resources:
        mem_mb=memory(4000),
        runtime=60,
    params:
        settings=recognizer_section,
        seed=configuration.seed,
        n_boot=configuration.significance.bootstrap,
        code=code_of("embeddings.rates:measure_rates"),
    message:
        "Measuring the rates of recognizer {wildcards.recognizer}"
    script:
        "../scripts/embeddings/rates.py"
