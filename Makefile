# What a developer runs. CI runs the same by .ci/run.
#
#   make test        everything, with psql, Alembic, Django and golang-migrate for real
#   make test-tools  what takes longer: PostgreSQL 13 and 18, a gigabyte of COPY
#   make lint        formatting, clippy, documentation
#   make bench       what pgpawl costs beside its peers: hours (ARGS=--quick to see that it runs)
#   make demo        an upgrade that passes and a downgrade that is refused (ARGS=--exit to end)
#   make tools       the foreign tools that the tests run, into .tools/

CARGO ?= cargo
ARGS ?=

.PHONY: test test-tools lint bench demo tools tools-more clean-tools

tools:
	integration-tests/tools/install.sh base

tools-more:
	integration-tests/tools/install.sh more

test: tools
	$(CARGO) test --workspace

# The core of the tests against the oldest and the newest PostgreSQL, and the large copies.
test-tools: tools-more
	PGPAWL_TEST_POSTGRES=13 $(CARGO) test --package pgpawl-integration-tests --test integration
	PGPAWL_TEST_POSTGRES=18 $(CARGO) test --package pgpawl-integration-tests --test integration
	PGPAWL_TEST_COPY_MIB=1024 $(CARGO) test --package pgpawl-integration-tests --test integration bulk

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps

bench:
	$(CARGO) run --release --package pgpawl-bench -- compare $(ARGS)

demo:
	$(CARGO) run --package pgpawl -- demo $(ARGS)

clean-tools:
	rm -rf .tools
