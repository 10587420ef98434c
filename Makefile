# Holdfast: build, run, test. `make help` lists the targets.
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/bash
BUILD ?= build
BIN ?= bin
CXX := g++
CCACHE := $(shell command -v ccache 2>/dev/null)
OPT ?= -O2 -g
WARN := -Wall -Wextra -Wshadow -Wno-missing-field-initializers -Werror
CXXFLAGS := -std=c++20 $(OPT) $(WARN) -fno-omit-frame-pointer -Isrc $(EXTRA)
COMPILE = $(CCACHE) $(CXX) $(CXXFLAGS) -MMD -MP
LDFLAGS ?=
CORE_LIBS := -lxxhash -llz4 -llzf
EDGE_LIBS := -luv -lpthread -ldl
ALLOCATOR ?= -ljemalloc

# Floors 0-3 make libcore.a, which links without libuv (the simulator is the proof); see src/README.md.
CORE_ROOMS := base resp store rdb task log snapshot replication sentinel config command node
EDGE_ROOMS := edge
CLI_ROOMS := cli

sources = $(foreach r,$(1),$(wildcard src/$(r)/*.cc))
objects = $(patsubst src/%.cc,$(BUILD)/%.o,$(call sources,$(1)))
room_lib = $(foreach r,$(1),$(BUILD)/lib/$(r).a)

PROGRAMS := holdfast-server holdfast-cli holdfast-check
all: $(addprefix $(BIN)/,$(PROGRAMS))
.DEFAULT_GOAL := all

# ---- objects and libraries ---------------------------------------------------------------------------------------
$(BUILD)/%.o: src/%.cc | $(BUILD)/.ready
	@mkdir -p $(@D)
	@echo "  compile  $<"
	@$(COMPILE) -c $< -o $@

$(BUILD)/tests/%.o: tests/%.cc | $(BUILD)/.ready
	@mkdir -p $(@D)
	@echo "  compile  $<"
	@$(COMPILE) -Itests -c $< -o $@

$(BUILD)/libcore.a: $(call objects,$(CORE_ROOMS))
	@rm -f $@; ar rcs $@ $^
$(BUILD)/libedge.a: $(call objects,$(EDGE_ROOMS))
	@rm -f $@; ar rcs $@ $^
$(BUILD)/libcli.a: $(call objects,$(CLI_ROOMS))
	@rm -f $@; ar rcs $@ $^
define ROOM_LIB
$(BUILD)/lib/$(1).a: $(call objects,$(1))
	@mkdir -p $$(@D); rm -f $$@; ar rcs $$@ $$^
endef
$(foreach r,$(CORE_ROOMS) $(EDGE_ROOMS) $(CLI_ROOMS),$(eval $(call ROOM_LIB,$(r))))

# ---- programs ----------------------------------------------------------------------------------------------------
$(BIN)/holdfast-server: $(BUILD)/main/server.o $(BUILD)/libedge.a $(BUILD)/libcore.a
	@mkdir -p $(BIN); echo "  link     $@"
	@$(CXX) $(LDFLAGS) -o $@ $^ $(EDGE_LIBS) $(CORE_LIBS) $(ALLOCATOR)
$(BIN)/holdfast-cli: $(BUILD)/main/cli.o $(BUILD)/libcli.a $(BUILD)/libcore.a
	@mkdir -p $(BIN); echo "  link     $@"
	@$(CXX) $(LDFLAGS) -o $@ $^ -ledit -lpthread $(CORE_LIBS)
$(BIN)/holdfast-check: $(BUILD)/main/check.o $(BUILD)/libedge.a $(BUILD)/libcore.a
	@mkdir -p $(BIN); echo "  link     $@"
	@$(CXX) $(LDFLAGS) -o $@ $^ $(EDGE_LIBS) $(CORE_LIBS)

# ---- unit tests: tests/<room>/*_test.cc make build/tests/<room>-test, linked with that room and the floors below ----
UNIT_ROOMS := $(patsubst tests/%/,%,$(sort $(dir $(wildcard tests/*/*_test.cc))))
LIBS_base := base
LIBS_resp := resp base
LIBS_store := store resp base
LIBS_rdb := rdb store resp base
LIBS_task := task store resp base
LIBS_log := log resp base
LIBS_snapshot := snapshot store resp base
LIBS_config := config resp base
LIBS_command := command task rdb store resp base
LIBS_replication := replication store resp base
LIBS_node := node command task rdb log snapshot replication sentinel config store resp base
LIBS_cli := cli config resp base
LIBS_edge := edge $(LIBS_node)
define UNIT_TEST
$(BUILD)/tests/$(1)-test: $$(patsubst tests/%.cc,$(BUILD)/tests/%.o,$$(wildcard tests/$(1)/*.cc)) $(BUILD)/tests/main.o $$(call room_lib,$$(LIBS_$(1)))
	@echo "  link     $$@"
	@$$(CXX) $$(LDFLAGS) -o $$@ $$(filter %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $$(if $$(filter edge,$(1)),$$(EDGE_LIBS)) $$(if $$(filter cli,$(1)),-ledit -lpthread) $$(CORE_LIBS)
endef
$(foreach r,$(UNIT_ROOMS),$(eval $(call UNIT_TEST,$(r))))
UNIT_TESTS := $(foreach r,$(UNIT_ROOMS),$(BUILD)/tests/$(r)-test)
unit: $(UNIT_TESTS)
	@set -e; for t in $^; do echo "== $$t"; $$t; done

# ---- for people --------------------------------------------------------------------------------------------------
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
help:
	@echo 'make               build bin/holdfast-server, holdfast-cli, holdfast-check'
	@echo 'make run           install what is missing, build, serve conf/server.toml on 127.0.0.1:6379, data in ./data'
	@echo '                   (make run PORT=7000 for another port; ARGS="--appendfsync always" for other options)'
	@echo 'make test          the short checks, ten minutes at most'
	@echo 'make test-long     the rest: many seeds, planted bugs, fuzzers, kills, real clients; half an hour'
	@echo 'make demo          a real job, killed again and again, ends with the right result (ARGS=--short, --json)'
	@echo 'make bench         speed, durability, memory, snapshots, replication beside redis-server (ARGS=--quick, --json)'
	@echo '                   (its --json is drawn by utils/bench/plot FILE)'
	@echo 'make unit          unit tests only; build/tests/<room>-test for one room'
	@echo 'make fuzz          fuzz every reader of foreign bytes (SECONDS_EACH=60)'
	@echo 'make sanitize      unit tests under AddressSanitizer and UndefinedBehaviorSanitizer'
	@echo 'make format        clang-format over everything; make lint: clang-tidy, warnings are errors'
	@echo 'make clean         remove what was built; data stays'

run:
	@deps/install.sh run
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@exec $(BIN)/holdfast-server conf/server.toml $(if $(PORT),--port $(PORT)) $(ARGS)

demo:
	@deps/install.sh run
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@exec /usr/bin/python3 utils/demo/run.py $(ARGS)
bench:
	@deps/install.sh bench
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@exec /usr/bin/python3 utils/bench/run.py $(ARGS)
.PHONY: demo bench

FORMATTED = $(wildcard src/*/*.h src/*/*.cc tests/*.cc tests/*/*.h tests/*/*.cc)
format:
	@deps/install.sh dev
	@clang-format -i $(FORMATTED)
# One file at a time, and all of them even when one fails: the whole list is worth seeing.
lint:
	@deps/install.sh dev
	@printf '%s\n' $(wildcard src/*/*.cc) | \
	  xargs -P $(JOBS) -I FILE clang-tidy --quiet FILE -- -std=c++20 -Isrc 2> >(grep -v 'warnings generated' >&2)

# g++ takes parts of <regex> for uninitialised under the sanitizers.
SANITIZE := build-sanitize
sanitize:
	@deps/install.sh test
	@$(MAKE) --no-print-directory -j$(JOBS) BUILD=$(SANITIZE) OPT='-O1 -g' ALLOCATOR= \
	  EXTRA='-fsanitize=address,undefined -fno-sanitize-recover=undefined -Wno-maybe-uninitialized' \
	  LDFLAGS='-fsanitize=address,undefined' unit

# ---- tests -------------------------------------------------------------------------------------------------------
# The short run: builds, then every step of tests/run.py. Fixed seeds; the last line is `N passed, N failed`.
test:
	@deps/install.sh test
	@$(MAKE) --no-print-directory -j2 all $(UNIT_TESTS) $(BUILD)/tests/sim $(BUILD)/libcore.a
	@/usr/bin/python3 tests/run.py short
# The rest: many seeds, planted bugs, fuzzers, a hundred kills, real clients.
test-long:
	@deps/install.sh test
	@deps/install.sh dev
	@$(MAKE) --no-print-directory -j2 all $(BUILD)/tests/sim
	@$(MAKE) --no-print-directory -j2 fuzz-programs planted
	@/usr/bin/python3 tests/run.py long

# Fuzz targets, under clang: build-fuzz/tests/fuzz/<target>-fuzz. `make fuzz SECONDS_EACH=60` runs them all.
FUZZ := build-fuzz
FUZZ_TARGETS := parser log snapshot entry config rdb
SECONDS_EACH ?= 60
FUZZ_FLAGS := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
fuzz-programs:
	@deps/install.sh dev
	@$(MAKE) --no-print-directory BUILD=$(FUZZ) CXX=clang++-14 OPT='-O1 -g' EXTRA='$(FUZZ_FLAGS)' \
	  $(foreach t,$(FUZZ_TARGETS),$(FUZZ)/tests/fuzz/$(t)-fuzz)
fuzz: fuzz-programs
	@tests/fuzz/run.sh $(FUZZ)/tests/fuzz $(SECONDS_EACH)
$(BUILD)/tests/fuzz/%-fuzz: $(BUILD)/tests/fuzz/%_fuzz.o $(BUILD)/libcore.a $(BUILD)/edge/toml.o
	@echo "  link     $@"
	@$(CXX) -fsanitize=fuzzer,address,undefined -o $@ $(BUILD)/tests/fuzz/$*_fuzz.o $(BUILD)/edge/toml.o $(BUILD)/libcore.a $(CORE_LIBS)

# ---- the simulator: whole lives of a node in virtual time, each out of one seed -----------------------------------------
# `make sim SEED=n` shows a life's last events; `make soak HOURS=n` lives new ones; `make sim-cluster` and `make soak-cluster`
# do so with three nodes. Linked without libuv, on purpose.
SIM_OBJECTS := $(patsubst tests/sim/%.cc,$(BUILD)/simulator/%.o,$(wildcard tests/sim/*.cc))
SEED ?= 1
HOURS ?= 1
$(BUILD)/simulator/%.o: tests/sim/%.cc | $(BUILD)/.ready
	@mkdir -p $(@D)
	@echo "  compile  $<"
	@$(COMPILE) -Itests/sim -c $< -o $@
$(BUILD)/tests/sim: $(SIM_OBJECTS) $(BUILD)/libcore.a
	@mkdir -p $(@D); echo "  link     $@"
	@$(CXX) $(LDFLAGS) -o $@ $^ $(CORE_LIBS)
sim: $(BUILD)/tests/sim
	@$< --seed $(SEED)
sim-cluster: $(BUILD)/tests/sim
	@$< --cluster --seed $(SEED)
soak: $(BUILD)/tests/sim
	@$< --hours $(HOURS) --from $$(date +%s)000 --jobs $$(nproc)
soak-cluster: $(BUILD)/tests/sim
	@$< --cluster --hours $(HOURS) --from $$(date +%s)000 --jobs $$(nproc)
# The same simulator against a node with known-wrong lines switched on one at a time (src/base/planted.h).
planted:
	@$(MAKE) --no-print-directory BUILD=build-planted EXTRA=-DHOLDFAST_PLANTED_BUGS build-planted/tests/sim
.PHONY: sim sim-cluster soak soak-cluster planted

$(BUILD)/.ready:
	@mkdir -p $(BUILD)
	@touch $@

clean:
	rm -rf build bin

.PHONY: all unit clean help run format lint sanitize test test-long fuzz fuzz-programs
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
