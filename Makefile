# `make help` lists the targets. GNU make and a Swift toolchain are needed; `make deps` installs or names everything else.

SWIFT ?= swift
SWIFTC ?= swiftc
PREFIX ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 60
TORTURE_SECONDS ?= 60
TORTURE_TERMS ?= 1000000
# files, nats, kubernetes, etcd, consul and slots; all of them if it is empty.
TORTURE_SYSTEMS ?=
# Seeds of each system, terms of each, or seconds in all; systems by their names, all of them if it is empty.
SEEDS ?=
TERMS ?=
SECONDS ?=
SYSTEMS ?=
SEED ?= $(shell od -An -N4 -tu4 /dev/urandom | tr -d ' ')
# Terms of each system of the simulator in the tests.
TEST_TERMS ?= 200
# Seconds of fuzzing for each target of Fuzz/Targets in the tests.
TEST_FUZZ_SECONDS ?= 5
BENCH_ROUNDS ?= 200
BENCH_SECONDS ?= 60

BUILD := .build
BINARY := $(BUILD)/release/qq
STATIC := $(CURDIR)/$(BUILD)/static-libraries
SANITIZED := ^(QQ|LeaderElection)[A-Za-z]*Tests\.
SCRIPTS := .ci/run $(wildcard Scripts/* Benchmarks/*.sh)

# FILE:DESTINATION for everything that is installed apart from the binary; destinations are below PREFIX. A new page, unit, document or example is only
# a new file in its folder.
UNITS = $(wildcard $(addprefix packaging/systemd/*.,service timer socket target path slice))
DOCUMENTS = README.md CHANGELOG.md $(wildcard docs/*.md docs/images/*)
EXAMPLES = $(filter-out %.test.yml packaging/systemd/%,$(wildcard packaging/*.service packaging/*.timer packaging/*/*))
INSTALLED = \
	$(foreach page,$(wildcard man/*.[0-9]),$(page):share/man/man$(subst .,,$(suffix $(page)))/$(notdir $(page))) \
	completions/qq.bash:share/bash-completion/completions/qq \
	completions/_qq:share/zsh/$(ZSHDIR)/_qq \
	completions/qq.fish:share/fish/vendor_completions.d/qq.fish \
	$(foreach unit,$(UNITS),$(unit):lib/systemd/system/$(notdir $(unit))) \
	$(foreach document,$(DOCUMENTS),$(document):share/doc/qq/$(document)) \
	$(foreach example,$(EXAMPLES),$(example):share/doc/qq/$(example:packaging/%=examples/%)) \
	packaging/copyright:share/doc/qq/copyright
# Debian's zsh has another folder for the completions of packages.
ZSHDIR = site-functions

# One binary that needs only libc and libm. SwiftPM links the Swift library statically. For libstdc++, of which the Swift runtime uses a
# little, the linker is pointed at a folder that holds only the static archive: loading the shared library costs half of a start of qq.
# No symbols are exported, because searching them cost a tenth of a start. The binary runs at the address that it was linked for: relocating
# it takes as long as the rest of a start, since every page with a pointer in it is written to, and there are 140,000 pointers.
LEAN = -Xlinker --gc-sections -Xlinker --no-export-dynamic -Xlinker --no-pie
# Generic types are made by code that knows their conformances. By default they are made from their names, and each one is looked up among
# the program's 10,000 conformances, at 0.15 ms a time, which took a fifth of a cold call over gRPC.
DIRECT = -Xswiftc -Xfrontend -Xswiftc -disable-concrete-type-metadata-mangled-name-accessors
# No run path either: SwiftPM's default is the folder of the binary, where whoever can write could place a library.
RELEASE = build -c release --static-swift-stdlib --disable-local-rpath $(LEAN) $(DIRECT)
STATIC_CXX = -Xlinker -L$(STATIC) -Xswiftc -Xclang-linker -Xswiftc -static-libgcc

# Sources that the harnesses share.
HARNESS = $(addprefix Benchmarks/Harness/,Process.swift Table.swift Servers.swift Tool.swift Lockers.swift HTTP.swift)

.PHONY: build demo examples test torture simulate lint format bench bench-nats bench-grpc bench-kubernetes bench-etcd bench-consul bench-session fuzz test-sanitize docs transcripts proto install uninstall deps deps-test deps-proto deps-bench deps-deb deps-image image deb clean help static-libraries generated
.DEFAULT_GOAL := build

build: release-qq ## The release binary (default)

release-%: deps static-libraries
	@if [ -e "$(STATIC)/libstdc++.a" ]; then set -- $(STATIC_CXX); \
	else set --; echo "note: no libstdc++.a here, so the binary needs libstdc++.so.6 and starts more slowly"; fi; \
	commit=$$(Scripts/commit "$(CURDIR)/$(BUILD)/commit") || exit; \
	$(SWIFT) $(RELEASE) --product $* "$$@" $${commit:+-Xlinker "$$commit"}
	@if readelf -d "$(BUILD)/release/$*" 2>/dev/null | grep -E 'R(UN)?PATH'; then echo "error: $* has a run path" >&2; exit 1; fi

# Also libreadline, libtinfo and libz: every command would pay for loading them, and few use them.
static-libraries: deps
	@mkdir -p "$(STATIC)"
	@for name in readline tinfo z; do \
		archive=$$(cc -print-file-name=lib$$name.a 2>/dev/null); \
		case $$archive in /*) ln -sf "$$archive" "$(STATIC)/lib$$name.a" ;; esac; \
	done
	@for compiler in clang gcc cc; do \
		archive=$$($$compiler -print-file-name=libstdc++.a 2>/dev/null); \
		case $$archive in /*) ln -sf "$$archive" "$(STATIC)/libstdc++.a"; exit 0 ;; esac; \
	done; rm -f "$(STATIC)/libstdc++.a"

demo: build ## Two contenders and one lease, in a temporary folder
	@Scripts/demo "$(CURDIR)/$(BINARY)"

# Packages of their own. QQ_OPTIMIZED is for a package that no other one depends on.
examples: deps ## Build the services of Examples, and run them briefly on lease files
	@mkdir -p $(BUILD)/examples/programs
	@set -e; for example in leader-web queue-worker; do \
		echo "$(SWIFT) build --package-path Examples/$$example"; \
		env -u QQ_OPTIMIZED $(SWIFT) build --package-path Examples/$$example --scratch-path "$(CURDIR)/$(BUILD)/examples/$$example" --product $$example; \
		ln -sf "$(CURDIR)/$(BUILD)/examples/$$example/debug/$$example" $(BUILD)/examples/programs/$$example; \
	done
	@Scripts/examples $(BUILD)/examples/programs

# The number of parallel tests is limited, because swift-testing starts all of them together, and a test that waits for an answer then waits
# for a thousand others first. QQFileTests runs alone: taking a lease file over ends the process that has the lock of the previous term, and
# a process that another test is just starting has a copy of that lock for a moment. EndToEndTests, which runs whole programs against the
# clock, comes after the others. Each group runs even if the one before has failed, so that one run shows all failures.
TEST_GROUPS = test-units test-fuzz test-files test-simulation test-programs
.PHONY: test-build $(TEST_GROUPS)
$(TEST_GROUPS): export SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH = 16

test: test-build ## All tests, end to end included
	@$(MAKE) --no-print-directory --keep-going --jobs=1 $(TEST_GROUPS)

# All tests, and the programs that they run. `swift build --build-tests` and `swift test` would build every target of every dependency too, which takes longer
# than all of qq: protoc alone, of which nothing here uses anything, is 300 C++ files, twice.
TESTS = --product qqPackageTests

test-build: deps-test
	$(SWIFT) build $(TESTS)

# These run what `test-build` has built.
test-units:
	$(SWIFT) test --skip-build --skip '^(EndToEndTests|QQFileTests|FuzzTests|SimulationTests)\.'

test-fuzz:
	@rm -rf $(BUILD)/fuzz/running
	QQ_FUZZ_SECONDS=$(TEST_FUZZ_SECONDS) $(SWIFT) test --skip-build --filter '^FuzzTests\.' || { Scripts/fuzz-left $(BUILD)/fuzz/running; exit 1; }

test-files:
	$(SWIFT) test --skip-build --filter '^QQFileTests\.'

# Worlds of virtual time, which need the processor all the time that they run: known seeds, TEST_TERMS terms of each system, and a seed that is new in
# each run. It is printed.
test-simulation:
	$(SWIFT) test --skip-build --filter '^SimulationTests\.'
	@simulate="$$($(SWIFT) build --show-bin-path)/simulate" && "$$simulate" --seed 1 --terms $(TEST_TERMS) && "$$simulate" --seeds 1

test-programs:
	$(SWIFT) test --skip-build --filter '^EndToEndTests\.'

torture: deps-test ## Contenders and random faults on every system of TORTURE_SYSTEMS for TORTURE_SECONDS, or for TORTURE_TERMS terms of each; SEED repeats a run
	$(SWIFT) build --product qq
	$(SWIFT) build --product stamp
	$(SWIFT) build --product torture
	@"$$($(SWIFT) build --show-bin-path)/torture" $(TORTURE_SECONDS) $(SEED) $(TORTURE_TERMS) $(TORTURE_SYSTEMS)

# Without SEED, the simulator draws one itself. It needs the inside of some modules, which a release of qq does not show: it has a folder of its own.
SIMULATION = $(SWIFT) build -c release --scratch-path $(BUILD)/simulation -Xswiftc -enable-testing
simulate: ## Worlds of virtual time with random faults: SEEDS seeds, TERMS terms or SECONDS seconds of SYSTEMS; SEED repeats one
	$(SIMULATION) --product simulate
	@"$(BUILD)/simulation/release/simulate" $(if $(filter command environment,$(firstword $(origin SEED))),--seed $(SEED)) \
		$(if $(SEEDS),--seeds $(SEEDS)) $(if $(TERMS),--terms $(TERMS)) $(if $(SECONDS),--seconds $(SECONDS)) $(addprefix --system ,$(SYSTEMS))

bench: build ## Start-up, failover and memory of the release binary, BENCH_ROUNDS (200) each; then the other benchmarks
	@mkdir -p $(BUILD)/bench
	$(SWIFTC) -O -swift-version 6 Benchmarks/Harness/*.swift -o $(BUILD)/bench/harness
	$(CC) -O2 Benchmarks/stamp.c -o $(BUILD)/bench/stamp
	$(SWIFTC) -O -static-stdlib Benchmarks/Empty/main.swift -o $(BUILD)/bench/empty
	$(SWIFTC) -O -static-stdlib $(LEAN) -Xlinker -L$(STATIC) -Xclang-linker -static-libgcc Benchmarks/Empty/main.swift -o $(BUILD)/bench/empty-like-qq
	@$(BUILD)/bench/harness $(CURDIR)/$(BINARY) "$$(command -v flock)" $(CURDIR)/$(BUILD)/bench/stamp \
		$(CURDIR)/$(BUILD)/bench/empty $(CURDIR)/$(BUILD)/bench/empty-like-qq $(BENCH_ROUNDS)
	@$(MAKE) --no-print-directory bench-nats bench-grpc bench-kubernetes bench-etcd bench-consul bench-session

bench-nats: build deps-bench ## The same over NATS: reading compared with etcdctl, hand-over, failover, 1,000 elections
	@mkdir -p $(BUILD)/bench
	$(SWIFTC) -O -swift-version 6 Benchmarks/NATS/*.swift $(HARNESS) -o $(BUILD)/bench/harness-nats
	$(CC) -O2 Benchmarks/stamp.c -o $(BUILD)/bench/stamp
	@$(BUILD)/bench/harness-nats $(CURDIR)/$(BINARY) $(CURDIR)/$(BUILD)/bench/stamp $(CURDIR)/$(BUILD)/tools $(BENCH_ROUNDS)

bench-grpc: release-qq release-bench-grpc deps-bench ## The same over gRPC: a new process compared with etcdctl, one session compared with grpc-swift, hand-over, 1,000 leases
	@mkdir -p $(BUILD)/bench
	$(SWIFTC) -O -swift-version 6 Benchmarks/GRPC/*.swift $(HARNESS) -o $(BUILD)/bench/harness-grpc
	$(CC) -O2 Benchmarks/stamp.c -o $(BUILD)/bench/stamp
	@$(BUILD)/bench/harness-grpc $(CURDIR)/$(BINARY) $(CURDIR)/$(BUILD)/release/bench-grpc $(CURDIR)/$(BUILD)/bench/stamp \
		$(CURDIR)/$(BUILD)/tools $(BENCH_ROUNDS)

bench-kubernetes: release-qq release-lease-api deps-bench ## The same on Kubernetes: reading compared with kubectl, hand-over, failover, 1,000 leases over BENCH_SECONDS (60)
	@mkdir -p $(BUILD)/bench
	$(SWIFTC) -O -swift-version 6 Benchmarks/Kubernetes/*.swift $(HARNESS) -o $(BUILD)/bench/harness-kubernetes
	$(CC) -O2 Benchmarks/stamp.c -o $(BUILD)/bench/stamp
	@$(BUILD)/bench/harness-kubernetes $(CURDIR)/$(BINARY) $(CURDIR)/$(BUILD)/release/lease-api $(CURDIR)/$(BUILD)/bench/stamp \
		$(CURDIR)/$(BUILD)/tools $(BENCH_ROUNDS) $(BENCH_SECONDS)

bench-etcd: release-qq deps-bench ## The same on etcd: calls and hand-over compared with etcdctl, failover, 1,000 leases over BENCH_SECONDS (60)
	@mkdir -p $(BUILD)/bench
	$(SWIFTC) -O -swift-version 6 Benchmarks/Etcd/*.swift $(HARNESS) -o $(BUILD)/bench/harness-etcd
	$(CC) -O2 Benchmarks/stamp.c -o $(BUILD)/bench/stamp
	@$(BUILD)/bench/harness-etcd $(CURDIR)/$(BINARY) $(CURDIR)/$(BUILD)/bench/stamp $(CURDIR)/$(BUILD)/tools $(BENCH_ROUNDS) $(BENCH_SECONDS)

bench-consul: release-qq deps-bench ## The same on Consul, if its program is here: calls and hand-over compared with consul, failover
	@mkdir -p $(BUILD)/bench
	$(SWIFTC) -O -swift-version 6 Benchmarks/Consul/*.swift $(HARNESS) -o $(BUILD)/bench/harness-consul
	$(CC) -O2 Benchmarks/stamp.c -o $(BUILD)/bench/stamp
	@$(BUILD)/bench/harness-consul $(CURDIR)/$(BINARY) $(CURDIR)/$(BUILD)/bench/stamp $(CURDIR)/$(BUILD)/tools $(BENCH_ROUNDS)

bench-session: build ## The session at a terminal: first prompt, events, and memory over BENCH_SECONDS (60) with 100 leases
	@mkdir -p $(BUILD)/bench
	$(SWIFTC) -O -swift-version 6 Benchmarks/Session/*.swift $(addprefix Benchmarks/Harness/,Process.swift Table.swift) -o $(BUILD)/bench/harness-session
	@$(BUILD)/bench/harness-session $(CURDIR)/$(BINARY) $(BENCH_ROUNDS) $(BENCH_SECONDS)

fuzz: deps ## Search with libFuzzer for inputs that break a parser, a rule or a rendering, FUZZ_SECONDS (60) for each target
	@Scripts/fuzz $(FUZZ_SECONDS)

test-sanitize: export QQ_UNIT_TESTS_ONLY = 1
# Everything takes ten times as long there, so fewer tests at a time keep the processor busy, and each meets its time limits.
test-sanitize: export SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH = 6
test-sanitize: export TSAN_OPTIONS = suppressions=$(CURDIR)/Tests/thread-sanitizer.suppressions
# The address sanitizer's search for leaks finds only leaks of Foundation and XCTest.
test-sanitize: export ASAN_OPTIONS = detect_leaks=0
test-sanitize: deps-test ## Unit tests under the thread and the address sanitizer
	$(SWIFT) build --sanitize=thread --scratch-path $(BUILD)/tsan $(TESTS)
	$(SWIFT) test --sanitize=thread --scratch-path $(BUILD)/tsan --skip-build --filter '$(SANITIZED)' --skip '^QQFileTests\.'
	$(SWIFT) test --sanitize=thread --scratch-path $(BUILD)/tsan --skip-build --filter '^QQFileTests\.'
	$(SWIFT) build --sanitize=address --scratch-path $(BUILD)/asan $(TESTS)
	$(SWIFT) test --sanitize=address --scratch-path $(BUILD)/asan --skip-build --filter '$(SANITIZED)' --skip '^QQFileTests\.'
	$(SWIFT) test --sanitize=address --scratch-path $(BUILD)/asan --skip-build --filter '^QQFileTests\.'

lint: deps-test generated ## Formatting, shell scripts, manual pages, links of the documents, generated files
	$(SWIFT) format lint --strict -r Sources Tests Package.swift $(wildcard Benchmarks Examples Fuzz)
	@for script in $(SCRIPTS); do bash -n $$script || exit; done
	@if command -v shellcheck >/dev/null; then shellcheck $(SCRIPTS); else echo "no shellcheck here: scripts only parsed"; fi
	mandoc -T lint man/*.[0-9]
	Scripts/check-links

# Checks that the committed pages and completions match the declarations.
#
# The program is the one that is built with the tests.
generated:
	$(SWIFT) build $(TESTS)
	@rm -rf $(BUILD)/generated && mkdir -p $(BUILD)/generated/man $(BUILD)/generated/completions
	@"$$($(SWIFT) build --show-bin-path)/qq" __generate $(BUILD)/generated
	@diff -ru man $(BUILD)/generated/man && diff -ru completions $(BUILD)/generated/completions \
		|| { echo "man/ or completions/ differ from the declarations: run make docs"; exit 1; }

format: ## Format the Swift sources
	$(SWIFT) format -i -r Sources Tests Package.swift $(wildcard Benchmarks Examples Fuzz)

docs: ## Regenerate man/ and completions/ from the declarations
	$(SWIFT) build --product qq
	@mkdir -p man completions
	"$$($(SWIFT) build --show-bin-path)/qq" __generate .

transcripts: deps-test ## Run the terminal sessions that README.md and docs/ show, and update texts and pictures
	$(SWIFT) build --product qq
	@Scripts/transcripts "$$($(SWIFT) build --show-bin-path)/qq"

proto: deps-proto ## Regenerate the Swift code of the .proto files
	$(SWIFT) build --product protoc-gen-swift
	$(SWIFT) build --product protoc-gen-grpc-swift-2
	@Scripts/proto "$$($(SWIFT) build --show-bin-path)"

image: build deps-image ## A container image with the release binary, as an OCI archive: .build/qq-oci.tar
	@Scripts/image $(BINARY) $(BUILD)/qq-oci.tar

deb: build deps-deb ## A Debian package of the release binary, checked by lintian if that is here: .build/qq_VERSION_ARCHITECTURE.deb
	@package=$$(Scripts/deb $(BINARY) $(BUILD)) && ls -sh "$$package" && \
	if command -v lintian >/dev/null; then lintian --fail-on error "$$package"; else echo "no lintian here: the package is not checked"; fi

install: ## Install into PREFIX (/usr/local), below DESTDIR
	@[ -x "$(BINARY)" ] || $(MAKE) build
	install -d "$(DESTDIR)$(PREFIX)/bin"
	install -s -m 755 "$(BINARY)" "$(DESTDIR)$(PREFIX)/bin/qq"
	@set -e; for pair in $(INSTALLED); do install -D -m 644 "$${pair%%:*}" "$(DESTDIR)$(PREFIX)/$${pair#*:}"; done
	@# Units name the binary by its path.
	@set -e; for unit in $(notdir $(UNITS)); do \
		sed -i -E 's,/usr(/local)?/bin/qq( |$$),$(PREFIX)/bin/qq\2,g' "$(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit"; done

uninstall: ## Remove the files that install put there
	rm -f "$(DESTDIR)$(PREFIX)/bin/qq"
	@set -e; for pair in $(INSTALLED); do rm -f "$(DESTDIR)$(PREFIX)/$${pair#*:}"; done
	@if [ -d "$(DESTDIR)$(PREFIX)/share/doc/qq" ]; then find "$(DESTDIR)$(PREFIX)/share/doc/qq" -depth -type d -empty -delete; fi

deps: ## Install what building and running needs
	@Scripts/need build

deps-test: ## Install what the tests need
	@Scripts/need build test

deps-proto: ## Install what generating code needs
	@Scripts/need build proto

deps-bench: ## Install what the benchmarks need
	@Scripts/need build bench

deps-deb: ## Install what making the Debian package needs
	@Scripts/need build deb

deps-image: ## Install what making the container image needs
	@Scripts/need build image

clean: ## Remove everything that was built
	rm -rf $(BUILD)

help: ## Print this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1\t\2/p' Makefile | expand -t 18
