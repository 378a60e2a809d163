#!/usr/bin/env bash
# Rotate a log file: keep N numbered generations, compress all but the newest.
#   usage: rotate_logs.sh [-k KEEP] [-s MIN_BYTES] FILE...
set -euo pipefail

keep=5
min_bytes=1

usage() {
    echo "usage: ${0##*/} [-k keep] [-s min_bytes] file..." >&2
    exit 2
}

while getopts 'k:s:' flag; do
    case $flag in
        k) keep=$OPTARG ;;
        s) min_bytes=$OPTARG ;;
        *) usage ;;
    esac
done
shift $((OPTIND - 1))
[[ $# -gt 0 && $keep =~ ^[1-9][0-9]*$ && $min_bytes =~ ^[0-9]+$ ]] || usage

# Print the existing file of one generation, compressed or not.
generation() {
    local candidate
    for candidate in "$1.$2" "$1.$2.gz"; do
        if [[ -f $candidate ]]; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    return 1
}

rotate() {
    local log=$1 number old size
    size=$(wc -c < "$log")
    if (( size < min_bytes )); then
        echo "skip    $log ($size bytes)"
        return
    fi
    # Walk from the oldest generation down, so that nothing is overwritten.
    for (( number = keep; number >= 1; number-- )); do
        old=$(generation "$log" "$number") || continue
        if (( number == keep )); then
            rm -- "$old"
        elif [[ $old == *.gz ]]; then
            mv -- "$old" "$log.$((number + 1)).gz"
        else
            gzip -c -- "$old" > "$log.$((number + 1)).gz"
            rm -- "$old"
        fi
    done
    # Copy and truncate: a program that holds the file open may keep writing.
    cp -p -- "$log" "$log.1"
    : > "$log"
    echo "rotated $log ($size bytes)"
}

for file in "$@"; do
    if [[ -f $file ]]; then rotate "$file"; else echo "missing $file" >&2; fi
done
