"""Explains face recognition models by recovering facial attributes from their representations.

`make run` is the usual way in. `snakemake --list` says in one sentence what each rule does.
"""

from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.utils import min_version, update_config

from attribute_recovery.config import ConfigError, parse_config, read_overlaid
from attribute_recovery.dataset.prepare import check_dataset
from attribute_recovery.generator.authors_files import check_generator

min_version("9.27")


# Not `configfile:`, which knows nothing of `extends`. Values given by --config lie on top of the file.
configuration_file = Path([Path("config/default.yaml"), *workflow.configfiles][-1])
try:
    values = read_overlaid(configuration_file)
    update_config(values, workflow.config_settings.config)
    configuration = parse_config(values, configuration_file)
    check_dataset(configuration.dataset, configuration_file)
    check_generator(configuration, configuration_file)
except ConfigError as error:
    raise WorkflowError(str(error))


include: "rules/common.smk"
include: "rules/dataset.smk"
include: "rules/generator.smk"
include: "rules/attributes.smk"
include: "rules/recognizer.smk"
include: "rules/embeddings.smk"
include: "rules/decoder.smk"
include: "rules/recovery.smk"
include: "rules/significance.smk"
include: "rules/counterfactuals.smk"
include: "rules/folds.smk"
include: "rules/report.smk"


onstart:
    open_execution()


onsuccess:
    close_execution("finished")


onerror:
    close_execution("failed")


rule all:
    """The report, and the manifest of everything that it stands on."""
    default_target: True
    input:
        final_files(),
