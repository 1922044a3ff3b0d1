//! The parts of the question that tell what became of a table `c`, for a guard `g`, without reading it.
use crate::{
    facts::HELD,
    question::{literal, xml},
};

/// The table's file.
pub(crate) const FILENODE: &str = "pg_catalog.pg_relation_filenode(c.oid)";

/// The rows that the transaction inserted, those that it changed, and when it began.
pub(crate) const COUNTERS: &str = "CASE WHEN d.i OPERATOR(pg_catalog.+) d.r OPERATOR(pg_catalog.=) 0 THEN '0' ELSE \
    pg_catalog.concat(d.i, '/', d.r, '@', \
    pg_catalog.encode(pg_catalog.timestamptz_send(pg_catalog.now()), 'hex')) END";

/// The versions of the table's rows in the catalogs.
pub(crate) const XMIN: &str = "pg_catalog.concat(c.xmin, '/', d.xmins)";

/// The transaction changed the table's row in `pg_class`. A row version is the transaction's own, or of a
/// later one, when it is no older than the transaction's own id.
pub(crate) const CLASS: &str = "pg_catalog.age(c.xmin) OPERATOR(pg_catalog.<=) 0";

/// It changed a column, or the schema.
pub(crate) const ALTERED: &str = "LEAST(pg_catalog.age(n.xmin), d.age) OPERATOR(pg_catalog.<=) 0";

/// What is known of table `c` without reading it: its columns (`names`, their row versions `xmins` and the
/// age `age` of the newest; `odd`: one that is needed is of a type that is not built in), the rows that
/// the transaction inserted (`i`), updated and deleted (`r`), and whether that is sure (`w`).
///
/// Counters of earlier transactions of the session linger, so they count where the transaction holds the
/// lock that whoever changes rows takes, and keeps to its end or to a ROLLBACK TO that undoes the change.
/// Rows of a child table count as its parents'.
pub(crate) fn facts() -> String {
    format!(
        "SELECT e.age, e.xmins, e.names, e.odd, e.i, e.r, e.i OPERATOR(pg_catalog.+) e.r OPERATOR(pg_catalog.>) 0 \
         AND (c.relhassubclass OR c.oid OPERATOR(pg_catalog.=) ANY ({HELD})) AS w FROM (\
         SELECT pg_catalog.min(pg_catalog.age(a.xmin)) AS age, \
         pg_catalog.string_agg(a.xmin::pg_catalog.text, '/' ORDER BY a.attnum) AS xmins, \
         COALESCE(pg_catalog.array_agg(a.attname) FILTER (WHERE NOT a.attisdropped), ARRAY[]::pg_catalog.name[]) AS names, \
         pg_catalog.bool_or(NOT a.attisdropped AND a.atttypid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid \
         AND a.attname OPERATOR(pg_catalog.=) ANY (g.need)) AS odd, \
         {} AS i, {} OPERATOR(pg_catalog.+) {} AS r \
         FROM pg_catalog.pg_attribute a WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid \
         AND a.attnum OPERATOR(pg_catalog.>) 0) e OFFSET 0",
        counter("inserted"),
        counter("updated"),
        counter("deleted"),
    )
}

/// A counter of table `c`; of one that has children, those of all tables below it that the transaction
/// changed.
fn counter(name: &str) -> String {
    let counter = format!("pg_catalog.pg_stat_get_xact_tuples_{name}");
    let family = literal(&format!(
        "WITH RECURSIVE k(o) AS (SELECT %s::pg_catalog.oid UNION SELECT h.inhrelid FROM pg_catalog.pg_inherits h, k \
         WHERE h.inhparent OPERATOR(pg_catalog.=) k.o) \
         SELECT COALESCE(pg_catalog.sum({counter}(k.o)), 0) AS v FROM k WHERE k.o OPERATOR(pg_catalog.=) ANY ({HELD})"
    ));
    let family = xml(&format!("pg_catalog.format({family}, c.oid)"));
    format!(
        "CASE WHEN c.relhassubclass THEN pg_catalog.substring({family}, '<v>([0-9]+)<')::pg_catalog.int8 \
         ELSE {counter}(c.oid) END"
    )
}

/// Whether table `c`, or a column that is read of it, goes with a temporary schema: it depends on it by
/// whatever objects, or what is a part of it does (the expression of a generated column). Only a
/// transaction that adds a dependency can make it so, also of a table that it leaves alone otherwise, so
/// this comes first.
pub(crate) fn temporary() -> String {
    let depends = xml(&format!(
        "pg_catalog.format({}, c.oid, g.need)",
        literal(DEPENDS_ON_TEMPORARY)
    ));
    format!(
        "pg_catalog.pg_stat_get_xact_tuples_inserted(2608) OPERATOR(pg_catalog.<>) 0 \
         AND EXISTS (SELECT 1 FROM pg_catalog.pg_namespace t WHERE t.nspname OPERATOR(pg_catalog.>=) 'pg_te'::pg_catalog.name \
         AND t.nspname OPERATOR(pg_catalog.<) 'pg_tf'::pg_catalog.name) AND {depends} OPERATOR(pg_catalog.<>) ''"
    )
}

/// A text for `format`: the table's oid, the names of its columns that are read.
const DEPENDS_ON_TEMPORARY: &str = "WITH RECURSIVE n(s) AS (SELECT 0 UNION ALL SELECT a.attnum::pg_catalog.int4 \
    FROM pg_catalog.pg_attribute a WHERE a.attrelid OPERATOR(pg_catalog.=) %1$s::pg_catalog.oid \
    AND a.attname OPERATOR(pg_catalog.=) ANY (%2$L::pg_catalog.name[])), \
    k(c, o, s) AS (SELECT 1259::pg_catalog.oid, %1$s::pg_catalog.oid, n.s FROM n \
    UNION SELECT d.classid, d.objid, d.objsubid FROM pg_catalog.pg_depend d, n \
    WHERE d.refclassid OPERATOR(pg_catalog.=) 1259::pg_catalog.oid AND d.refobjid OPERATOR(pg_catalog.=) %1$s::pg_catalog.oid \
    AND d.refobjsubid OPERATOR(pg_catalog.=) n.s AND d.deptype OPERATOR(pg_catalog.=) 'i'::pg_catalog.\"char\" \
    UNION SELECT d.refclassid, d.refobjid, d.refobjsubid FROM pg_catalog.pg_depend d, k \
    WHERE d.classid OPERATOR(pg_catalog.=) k.c AND d.objid OPERATOR(pg_catalog.=) k.o \
    AND d.objsubid OPERATOR(pg_catalog.=) k.s) \
    SELECT 1 FROM k WHERE k.c OPERATOR(pg_catalog.=) 2615::pg_catalog.oid \
    AND (k.o OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema() \
    OR pg_catalog.pg_is_other_temp_schema(k.o))";
