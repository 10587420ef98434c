#!/usr/bin/env bash
# Fuzzes one target after another for SECONDS_EACH (60): tests/fuzz/run.sh DIR-OF-PROGRAMS [SECONDS_EACH]. New inputs
# that reach new code go to a scratch folder; a crashing one stays there and is named.
set -euo pipefail
programs=$1
seconds=${2:-60}
here=$(cd "$(dirname "$0")" && pwd)
passed=0 failed=0
for target in ${TARGETS:-parser log snapshot entry config}; do
  scratch=$programs/scratch-$target
  mkdir -p "$scratch"
  log=$programs/$target.log
  if "$programs/$target-fuzz" -seed=1 -max_total_time="$seconds" -max_len=65536 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1 \
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
