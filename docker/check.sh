#!/usr/bin/env bash
# Builds the images without an engine or a registry: buildah, on stand-ins for the two bases made with debootstrap.
# Needs root and the packages buildah and debootstrap; 15 GB of disk while it runs where overlays can be mounted, else 100 GB, for
# each instruction then copies the image. Downloads stay in /var/tmp/buildah-cache for the next time, 6 GB. Called by `make docker-check`.
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in buildah debootstrap; do
    command -v "$tool" >/dev/null || { echo "docker-check: $tool is not installed (apt-get install $tool)"; exit 8; }
done

python=$(sed -n 's/^ARG PYTHON_VERSION=//p' docker/Dockerfile)
beam=$(sed -n 's/^ARG BEAM_VERSION=//p' docker/Dockerfile)
storage=$(mktemp -d)
driver=vfs
mkdir -p "$storage"/probe/{lower,upper,work,merged}
if mount -t overlay overlay -o "lowerdir=$storage/probe/lower,upperdir=$storage/probe/upper,workdir=$storage/probe/work" "$storage/probe/merged" 2>/dev/null; then
    umount "$storage/probe/merged"
    driver=overlay
fi
buildah() { command buildah --root "$storage/images" --runroot "$storage/run" --storage-driver "$driver" "$@"; }
trap 'buildah rm --all >/dev/null; rm -rf "$storage"' EXIT

# bookworm's own Python is 3.11; the official image has its headers too
debootstrap --variant=minbase --include=ca-certificates,python3,python3-dev,python3-venv,python3-pip bookworm "$storage/debian" >/dev/null
ln -s python3 "$storage/debian/usr/bin/python"
base=$(buildah from scratch)
buildah add -q "$base" "$storage/debian" / >/dev/null
buildah commit -q "$base" "docker.io/library/python:$python-slim-bookworm" >/dev/null
rm -rf "$storage/debian"

mkdir "$storage/beam"
printf '#!/bin/sh\necho "stand-in of the Beam harness"\n' >"$storage/beam/boot"
chmod +x "$storage/beam/boot"
harness=$(buildah from scratch)
buildah add -q "$harness" "$storage/beam" /opt/apache/beam >/dev/null
buildah commit -q "$harness" "docker.io/apache/beam_python${python}_sdk:$beam" >/dev/null

mkdir "$storage/launcher"
printf '#!/bin/sh\necho "stand-in of the template launcher"\n' >"$storage/launcher/python_template_launcher"
chmod +x "$storage/launcher/python_template_launcher"
launcher=$(buildah from scratch)
buildah add -q "$launcher" "$storage/launcher" /opt/google/dataflow >/dev/null
buildah commit -q "$launcher" "$(sed -n 's/^ARG LAUNCHER=//p' docker/Dockerfile)" >/dev/null
buildah rm --all >/dev/null

# the certificates of this machine, for networks that have their own
certificates=(--volume /etc/ssl/certs:/etc/ssl/certs:ro --build-arg SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt)
for target in app flow-run beam-worker flex-template; do
    echo "docker-check: building $target"
    buildah bud --quiet --isolation chroot --layers --pull-never "${certificates[@]}" \
        ${TORCH_BACKEND:+--build-arg TORCH_BACKEND="$TORCH_BACKEND"} --target "$target" --tag "$target" --file docker/Dockerfile . >/dev/null
done

app=$(buildah from --pull-never app)
run=$(buildah from --pull-never flow-run)
worker=$(buildah from --pull-never beam-worker)
template=$(buildah from --pull-never flex-template)
[ "$(buildah run --isolation chroot "$app" -- id -u)" = 10001 ] || { echo "docker-check: the app runs as root"; exit 1; }
buildah run --isolation chroot "$app" -- ctllm doctor
buildah run --isolation chroot "$app" -- ctllm setup # kernels: 0 compiled, for they are in the image
buildah run --isolation chroot "$run" -- python -c "from prefect.flows import load_flow_from_entrypoint as load; print(load('ctllm.flows.stages.curate').name)"
buildah run --isolation chroot "$worker" -- /opt/apache/beam/boot
buildah run --isolation chroot "$worker" -- python -c "import ctllm.pipelines.curate, apache_beam; print('beam', apache_beam.__version__)"
buildah run --isolation chroot "$template" -- /opt/google/dataflow/python_template_launcher
buildah run --isolation chroot "$template" -- sh -c 'python "$FLEX_TEMPLATE_PYTHON_PY_FILE" --help' >/dev/null
echo "docker-check: the images stand"
