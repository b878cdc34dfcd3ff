"""The three measures of what an attribute weighs: retained information, identity share, decision effect.

OUTPUTS:
    significance  results/EXPERIMENT/RECOGNIZER/significance/significance.parquet
    metrics       results/EXPERIMENT/RECOGNIZER/significance/metrics.json
"""


rule significance:
    """Measures for every attribute what is retained, what of it is identity, and what it does to decisions."""
    output:
        significance="results/{experiment}/{recognizer}/significance/significance.parquet",
        metrics="results/{experiment}/{recognizer}/significance/metrics.json",
        manifest="results/{experiment}/{recognizer}/significance/manifest-significance.json",
    log:
        "results/{experiment}/logs/{recognizer}/significance.log",
    benchmark:
        "results/{experiment}/benchmarks/{recognizer}/significance.tsv"
    conda:
        "../envs/attribute-recovery.yaml"
    threads: configuration.compute.threads
    resources:
        mem_mb=memory(4000),
        runtime=240,
    params:
        settings=section("significance"),
        compute=section("compute"),
        seed=configuration.seed,
        code=code_of("significance.analyse:analyse"),
    message:
        "Weighing each attribute for recognizer {wildcards.recognizer}"
    script:
        "../scripts/significance/analyse.py"
