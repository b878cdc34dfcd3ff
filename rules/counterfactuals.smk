"""What would have to change for a decision to change, on the sphere and in the face.

OUTPUTS:
    metrics  results/EXPERIMENT/RECOGNIZER/counterfactuals/metrics.json
"""


rule counterfactuals:
    """Finds what would have to change for a decision to change, and checks each by embedding it again."""
    output:
        metrics="results/{experiment}/{recognizer}/counterfactuals/metrics.json",
        manifest="results/{experiment}/{recognizer}/counterfactuals/manifest-counterfactuals.json",
    log:
        "results/{experiment}/logs/{recognizer}/counterfactuals.log",
    benchmark:
        "results/{experiment}/benchmarks/{recognizer}/counterfactuals.tsv"
    conda:
        "../envs/attribute-recovery.yaml"
    threads: configuration.compute.threads
    resources:
        mem_mb=memory(4000),
        runtime=240,
    params:
        settings=section("counterfactuals"),
        compute=section("compute"),
        seed=configuration.seed,
        code=code_of("counterfactuals.explain:explain"),
    message:
        "Explaining decisions of recognizer {wildcards.recognizer}"
    script:
        "../scripts/counterfactuals/explain.py"
