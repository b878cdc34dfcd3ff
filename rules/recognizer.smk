"""The face recognition model that is explained; never changed afterwards.

INPUTS:
    images   results/EXPERIMENT/dataset/images.bcolz
    table    results/EXPERIMENT/dataset/images.parquet
    report   results/EXPERIMENT/dataset/report.json
    source   what a recognizer that is brought is read from, and its card

OUTPUTS:
    weights  results/EXPERIMENT/RECOGNIZER/recognizer/weights.safetensors (the card tells the format)
    card     results/EXPERIMENT/RECOGNIZER/recognizer/card.json
"""


rule recognizer:
    """Trains the recognizer to be explained, or takes in one that was brought."""
    input:
        manifests=[
            "results/{experiment}/dataset/manifest-dataset.json",
        ],
        source=recognizer_source,
        images=ancient("results/{experiment}/dataset/images.bcolz"),
        table=ancient("results/{experiment}/dataset/images.parquet"),
        report=ancient("results/{experiment}/dataset/report.json"),
    output:
        weights="results/{experiment}/{recognizer}/recognizer/weights.safetensors",
        card="results/{experiment}/{recognizer}/recognizer/card.json",
        manifest="results/{experiment}/{recognizer}/recognizer/manifest-recognizer.json",
    log:
        "results/{experiment}/logs/{recognizer}/recognizer.log",
    benchmark:
        "results/{experiment}/benchmarks/{recognizer}/recognizer.tsv"
    conda:
        "../envs/attribute-recovery.yaml"
    threads: configuration.compute.threads
    resources:
        mem_mb=memory(4000),
        runtime=240,
    params:
        settings=recognizer_section,
        compute=section("compute"),
        seed=configuration.seed,
        code=code_of("recognizer.prepare:prepare_recognizer"),
    message:
        "Preparing recognizer {wildcards.recognizer}"
    script:
        "../scripts/recognizer/prepare.py"
