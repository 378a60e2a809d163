"""Main program of the Dataflow flex template: `python -m ctllm.pipelines.flex_template PARAMETERS BEAM OPTIONS`.

Google's launcher runs it with the template's parameters (docker/flex-template.json) and Beam's options of its own. It
builds a job of one step, which runs the curation (`conductor.py`), and ends within seconds.
"""

import argparse
import logging
import shlex
import sys
from collections.abc import Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

from ctllm.pipelines.conductor import Conduct
from ctllm.pipelines.options import NOTHING_TO_STAGE, RunnerOptions, read_flags
from ctllm.schemas.errors import CtllmError

CONFIG = "configs/curation/recommended.yaml"
BEAM_OPTIONS = "@configs/dataflow/recommended.txt"
MACHINE_TYPE = "e2-standard-2"  # chosen, untested: the command takes below 1 GB and next to no CPU

_DISK = "--disk_size_gb=50"  # as the jobs' workers have; the image is gigabytes
_ONE_WORKER = ("--num_workers=1", "--max_num_workers=1", "--autoscaling_algorithm=NONE", "--sdk_location=container")
_HANDED_ON = (
    "project",
    "region",
    "worker_region",
    "worker_zone",
    "temp_location",
    "staging_location",
    "sdk_container_image",
    "service_account_email",
    "network",
    "subnetwork",
    "dataflow_kms_key",
)
"""Options that the jobs of the curation have from this one, unless `--beam_options` says otherwise.

Not the job's name: jobs of a run directory must have the same names after another launch, so that the service refuses a
second one of them. Not machine types, numbers of workers and disks: those of this job are for one small worker.
"""


def parameters() -> argparse.ArgumentParser:
    """What the template asks for; everything else on its command line is Beam's."""
    parser = argparse.ArgumentParser(prog="ctllm.pipelines.flex_template", allow_abbrev=False)
    parser.add_argument("--inputs", required=True, help="files, globs, directories, URLs; several with spaces between")
    parser.add_argument("--out", required=True, help="run directory, continued if it is there")
    parser.add_argument("--sdk_container_image", required=True, help="image of all workers")
    parser.add_argument("--config", default=CONFIG, help="YAML file, also a URL")
    parser.add_argument("--curate_options", default="", help="further options of `ctllm curate`")
    parser.add_argument("--beam_options", default=BEAM_OPTIONS, help="Beam options of the curation's jobs, or @FILE")
    parser.add_argument("--machine_type", default=MACHINE_TYPE, help="machine of the one worker that waits for them")
    return parser


def build(arguments: Sequence[str]) -> beam.Pipeline:
    """The job of one step. Raises ConfigError for an option that Beam does not know, so that the launch fails."""
    given, others = parameters().parse_known_args(arguments)
    own = [f"--machine_type={given.machine_type}", f"--sdk_container_image={given.sdk_container_image}"]
    options = PipelineOptions([_DISK, *own, *others, *_ONE_WORKER, *NOTHING_TO_STAGE])
    beam_args = read_flags([*_handed_on(options), *shlex.split(given.beam_options)])
    RunnerOptions("dataflow", beam_args=beam_args).pipeline_options()
    command = [part for each in shlex.split(given.inputs) for part in ("--input", each)]
    command += ["--out", given.out, "--runner", "dataflow", *shlex.split(given.curate_options), "--", *beam_args]
    pipeline = beam.Pipeline(options=options)
    _ = pipeline | "Once" >> beam.Impulse() | "Curate" >> beam.ParDo(Conduct(given.config, command))
    return pipeline


def _handed_on(options: PipelineOptions) -> list[str]:
    values = options.get_all_options()
    flags = [f"--{name}={values[name]}" for name in _HANDED_ON if values[name]]
    return [*flags, *(["--no_use_public_ips"] if values["use_public_ips"] is False else [])]


def main() -> None:
    """Writes the job to `--template_location`, from where the service starts it; without that, runs it to its end."""
    logging.getLogger().setLevel(logging.INFO)
    try:
        pipeline = build(sys.argv[1:])
    except CtllmError as error:
        sys.exit(f"error {error}")
    result = pipeline.run()
    if not pipeline.options.view_as(GoogleCloudOptions).template_location:  # else no job is there yet to wait for
        result.wait_until_finish()


if __name__ == "__main__":
    main()
