# What a developer runs. CI runs the same by .ci/run.
#
#   make test        everything, with psql, Alembic, Django and golang-migrate for real
#   make test-tools  what takes longer: the other tools, PostgreSQL 13 and 18, a gigabyte of COPY
#   make lint        formatting, clippy, documentation
#   make bench       what pgpawl costs beside its peers: hours (ARGS=--quick to see that it runs)

#   make instructions  whether single steps take more instructions than committed (ARGS=--write to commit more)
#   make fuzz        what make test fuzzes, for longer: ROUNDS=20
#   make fuzz-check  whether the cargo-fuzz targets compile
#   make differential  the screen against PostgreSQL's own parser: TEXTS=3000000 SEED=1
#   make demo        an upgrade that passes and a downgrade that is refused (ARGS=--exit to end)
#   make tools       the foreign tools that the tests run, into .tools/

CARGO ?= cargo
ARGS ?=
ROUNDS ?= 20
TEXTS ?= 3000000
SEED ?= 1

.PHONY: test test-tools lint bench instructions fuzz fuzz-check differential demo tools tools-more clean-tools

tools:
	integration-tests/tools/install.sh base

tools-more:
	integration-tests/tools/install.sh more

test: tools
	$(CARGO) test --workspace

# The matrix of tools, the core of the tests against the oldest and the newest PostgreSQL, and the
# large copies.
test-tools: tools-more
	$(CARGO) test --package pgpawl-integration-tests --test tools
	PGPAWL_TEST_PROGRAMS=500 PGPAWL_TEST_POSTGRES=13 $(CARGO) test --package pgpawl-integration-tests --test integration
	PGPAWL_TEST_PROGRAMS=500 PGPAWL_TEST_POSTGRES=18 $(CARGO) test --package pgpawl-integration-tests --test integration
	PGPAWL_TEST_COPY_MIB=1024 $(CARGO) test --package pgpawl-integration-tests --test integration bulk

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) clippy --package pgpawl-integration-tests --test tools -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps

# Counts what single steps take; more than 5 % above what is committed is an error.
instructions:
	integration-tests/tools/install.sh instructions
	$(CARGO) run --release --package pgpawl-bench -- instructions $(ARGS)

bench:
	$(CARGO) run --release --package pgpawl-bench -- compare $(ARGS)

fuzz:
	PGPAWL_TEST_FUZZ_ROUNDS=$(ROUNDS) $(CARGO) test --package pgpawl-policy --package pgpawl --test fuzz_smoke

# They are run by `cargo +nightly fuzz run TARGET` in policy/ or proxy/; `make test` runs their
# properties on the pinned toolchain.
FUZZ = policy/fuzz proxy/fuzz
fuzz-check:
	for fuzz in $(FUZZ); do \
		$(CARGO) fmt --manifest-path $$fuzz/Cargo.toml --check && \
		$(CARGO) clippy --manifest-path $$fuzz/Cargo.toml --no-default-features -- -D warnings || exit; \
	done

# Its parser is C: all that it needs is the C compiler that Rust itself links by.
DIFFERENTIAL = policy/differential/Cargo.toml
differential:
	@command -v cc >/dev/null || { echo "make differential: 'cc' is missing: install gcc and libc6-dev first" >&2; exit 69; }
	$(CARGO) fmt --manifest-path $(DIFFERENTIAL) --check
	$(CARGO) clippy --manifest-path $(DIFFERENTIAL) --locked -- -D warnings
	$(CARGO) run --manifest-path $(DIFFERENTIAL) --locked -- $(TEXTS) $(SEED)

demo:
	$(CARGO) run --package pgpawl -- demo $(ARGS)

clean-tools:
	rm -rf .tools
