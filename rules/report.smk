"""The page that explains the recognizers to somebody who has not read the code, and all figures in one file.

INPUTS:
    manifests  of every job; the page reads the tables and pictures that they name

OUTPUTS:
    page       results/EXPERIMENT/report/index.html
    metrics    results/EXPERIMENT/report/metrics.json

Where people are pseudonymous, the page takes the key of their pseudonyms from results/EXPERIMENT/.pseudonyms.key, and
makes it where there is none.
"""


rule report:
    """Writes the page and collects every figure."""
    input:
        manifests=results_of_stages(),
    output:
        page="results/{experiment}/report/index.html",
        metrics="results/{experiment}/report/metrics.json",
        manifest="results/{experiment}/report/manifest-report.json",
    log:
        "results/{experiment}/logs/report.log",
    benchmark:
        "results/{experiment}/benchmarks/report.tsv"
    conda:
        "../envs/attribute-recovery.yaml"
    threads: configuration.compute.threads
    resources:
        mem_mb=memory(4000),
        runtime=30,
    params:
        settings=section("report"),
        recognizers=list(configuration.recognizers),
        left_out=configuration.left_out_stages,
        code=code_of("report.page:write_report", data=["report/templates"]),
    message:
        "Writing the report of {wildcards.experiment}"
    script:
        "../scripts/report/page.py"
