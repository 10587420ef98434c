#!/usr/bin/env bash
# Fuzzes one target after another:
#   tests/fuzz/run.sh DIR-OF-PROGRAMS fixed     about a minute each, always the same inputs (a seed and a count)
#   tests/fuzz/run.sh DIR-OF-PROGRAMS SECONDS   new inputs for so long each
# TARGETS="entry config" runs only those. What reaches new code goes to a scratch folder beside the programs; a crashing
# input stays there and is named: it belongs into corpus/ together with the cure.
set -euo pipefail
programs=$1
how=${2:-60}
here=$(cd "$(dirname "$0")" && pwd)
declare -A inputs=([parser]=700000 [log]=600000 [snapshot]=2000000 [entry]=2000000 [config]=200000 [rdb]=1000000)
passed=0 failed=0
for target in ${TARGETS:-parser log snapshot entry config rdb}; do
  scratch=$programs/scratch-$target
  log=$programs/$target.log
  if [ "$how" = fixed ]; then
    rm -rf "$scratch"
    bounds=(-seed=1 -runs="${inputs[$target]}")
  else
    bounds=(-max_total_time="$how")
  fi
  mkdir -p "$scratch"
  if "$programs/$target-fuzz" "${bounds[@]}" -max_len=65536 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
      -artifact_prefix="$scratch/" "$scratch" "$here/corpus/$target" >"$log" 2>&1; then
    echo "$target: $(grep -oE 'stat::number_of_executed_units: *[0-9]+' "$log" | grep -oE '[0-9]+') inputs, no crash"
    passed=$((passed + 1))
  else
    echo "$target: FAILED"
    tail -40 "$log"
    failed=$((failed + 1))
  fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
