//! The functions, operators and words whose use in a query cannot write: what migration tools, ORMs,
//! psql and JDBC send when they only look. All lists are sorted.
//!
//! Not listed, because they run SQL that they are given: `query_to_xml` and its like, `ts_stat`,
//! `ts_rewrite`, `dblink`; because they write by themselves: large objects, `pg_restore_*_stats`.

/// Whether `name`, in any case, is a harmless function of `pg_catalog` or `information_schema`.
pub(crate) fn is_function(name: &[u8]) -> bool {
    has(&FUNCTIONS, name)
}

/// Whether `word`, in any case, is a word of SQL that may stand before a parenthesis.
pub(crate) fn is_word(word: &[u8]) -> bool {
    has(&WORDS, word)
}

/// Whether PostgreSQL itself has an operator of that name.
pub(crate) fn is_operator(operator: &[u8]) -> bool {
    has(&OPERATORS, operator)
}

fn has(sorted: &[&str], name: &[u8]) -> bool {
    let folded = || name.iter().map(u8::to_ascii_lowercase);
    sorted
        .binary_search_by(|entry| entry.bytes().cmp(folded()))
        .is_ok()
}

/// Functions.
#[rustfmt::skip]
const FUNCTIONS: [&str; 443] = [
    "_pg_char_max_length", "_pg_char_octet_length", "_pg_datetime_precision", "_pg_expandarray",
    "_pg_index_position", "_pg_interval_type", "_pg_numeric_precision",
    "_pg_numeric_precision_radix", "_pg_numeric_scale", "_pg_truetypid", "_pg_truetypmod", "abs",
    "acos", "age", "any_value", "area", "array_agg", "array_append", "array_cat", "array_dims",
    "array_fill", "array_in", "array_length", "array_lower", "array_ndims", "array_position",
    "array_positions", "array_prepend", "array_remove", "array_replace", "array_to_json",
    "array_to_string", "array_to_tsvector", "array_upper", "ascii", "asin", "atan", "atan2", "avg",
    "bit_and", "bit_count", "bit_length", "bit_or", "bit_xor", "bool", "bool_and", "bool_or",
    "bpchar", "btrim", "cardinality", "cbrt", "ceil", "ceiling", "char", "char_length",
    "character_length", "chr", "clock_timestamp", "col_description", "concat", "concat_ws",
    "convert_from", "convert_to", "corr", "cos", "cot", "count", "covar_pop", "covar_samp",
    "cume_dist", "current_database", "current_query", "current_schema", "current_schemas",
    "current_setting", "currval", "date", "date_bin", "date_part", "date_trunc", "decode",
    "degrees", "dense_rank", "div", "encode", "enum_first", "enum_last", "enum_range", "every",
    "exp", "first_value", "float4", "float8", "floor", "format", "format_type", "gcd",
    "gen_random_uuid", "generate_series", "generate_subscripts", "get_bit", "get_byte",
    "has_any_column_privilege", "has_column_privilege", "has_database_privilege",
    "has_foreign_data_wrapper_privilege", "has_function_privilege", "has_language_privilege",
    "has_schema_privilege", "has_sequence_privilege", "has_server_privilege",
    "has_table_privilege", "has_tablespace_privilege", "has_type_privilege", "hashtext", "height",
    "host", "inet_client_addr", "inet_client_port", "inet_server_addr", "inet_server_port",
    "initcap", "int2", "int4", "int8", "isempty", "isfinite", "json_agg", "json_array_elements",
    "json_array_elements_text", "json_array_length", "json_build_array", "json_build_object",
    "json_each", "json_each_text", "json_extract_path", "json_extract_path_text", "json_object",
    "json_object_agg", "json_object_keys", "json_populate_record", "json_populate_recordset",
    "json_strip_nulls", "json_to_record", "json_to_recordset", "json_typeof", "jsonb_agg",
    "jsonb_array_elements", "jsonb_array_elements_text", "jsonb_array_length", "jsonb_build_array",
    "jsonb_build_object", "jsonb_each", "jsonb_each_text", "jsonb_exists", "jsonb_extract_path",
    "jsonb_extract_path_text", "jsonb_insert", "jsonb_object", "jsonb_object_agg",
    "jsonb_object_keys", "jsonb_path_exists", "jsonb_path_match", "jsonb_path_query",
    "jsonb_path_query_array", "jsonb_path_query_first", "jsonb_populate_record", "jsonb_pretty",
    "jsonb_set", "jsonb_strip_nulls", "jsonb_to_record", "jsonb_to_recordset", "jsonb_typeof",
    "justify_days", "justify_hours", "justify_interval", "lag", "last_value", "lastval", "lcm",
    "lead", "left", "length", "like", "ln", "log", "log10", "lower", "lower_inc", "lpad", "ltrim",
    "make_date", "make_interval", "make_time", "make_timestamp", "make_timestamptz", "masklen",
    "max", "md5", "min", "mod", "mode", "mxid_age", "name", "network", "nextval", "now",
    "nth_value", "ntile", "numeric", "numnode", "obj_description", "octet_length", "oid",
    "overlay", "parse_ident", "percent_rank", "percentile_cont", "percentile_disc",
    "pg_advisory_lock", "pg_advisory_lock_shared", "pg_advisory_unlock", "pg_advisory_unlock_all",
    "pg_advisory_unlock_shared", "pg_advisory_xact_lock", "pg_advisory_xact_lock_shared",
    "pg_available_extension_versions", "pg_backend_pid", "pg_blocking_pids", "pg_char_to_encoding",
    "pg_client_encoding", "pg_collation_for", "pg_collation_is_visible", "pg_column_size",
    "pg_conf_load_time", "pg_conversion_is_visible", "pg_current_snapshot", "pg_current_wal_lsn",
    "pg_current_xact_id", "pg_current_xact_id_if_assigned", "pg_database_size",
    "pg_describe_object", "pg_encoding_max_length", "pg_encoding_to_char", "pg_filenode_relation",
    "pg_function_is_visible", "pg_get_constraintdef", "pg_get_expr", "pg_get_function_arg_default",
    "pg_get_function_arguments", "pg_get_function_identity_arguments", "pg_get_function_result",
    "pg_get_function_sqlbody", "pg_get_functiondef", "pg_get_indexdef", "pg_get_keywords",
    "pg_get_partition_constraintdef", "pg_get_partkeydef", "pg_get_ruledef",
    "pg_get_serial_sequence", "pg_get_statisticsobjdef", "pg_get_statisticsobjdef_columns",
    "pg_get_statisticsobjdef_expressions", "pg_get_triggerdef", "pg_get_userbyid",
    "pg_get_viewdef", "pg_has_role", "pg_identify_object", "pg_index_column_has_property",
    "pg_index_has_property", "pg_indexam_has_property", "pg_indexes_size", "pg_is_in_recovery",
    "pg_is_other_temp_schema", "pg_jit_available", "pg_last_wal_receive_lsn",
    "pg_last_wal_replay_lsn", "pg_last_xact_replay_timestamp", "pg_my_temp_schema", "pg_notify",
    "pg_opclass_is_visible", "pg_operator_is_visible", "pg_opfamily_is_visible",
    "pg_options_to_table", "pg_partition_ancestors", "pg_partition_root", "pg_partition_tree",
    "pg_postmaster_start_time", "pg_relation_filenode", "pg_relation_filepath",
    "pg_relation_is_publishable", "pg_relation_is_updatable", "pg_relation_size",
    "pg_safe_snapshot_blocking_pids", "pg_sequence_last_value", "pg_sequence_parameters",
    "pg_size_bytes", "pg_size_pretty", "pg_sleep", "pg_sleep_for", "pg_snapshot_xmax",
    "pg_snapshot_xmin", "pg_statistics_obj_is_visible", "pg_table_is_visible", "pg_table_size",
    "pg_tablespace_databases", "pg_tablespace_location", "pg_tablespace_size",
    "pg_timezone_abbrevs", "pg_timezone_names", "pg_total_relation_size", "pg_trigger_depth",
    "pg_try_advisory_lock", "pg_try_advisory_lock_shared", "pg_try_advisory_xact_lock",
    "pg_try_advisory_xact_lock_shared", "pg_ts_config_is_visible", "pg_ts_dict_is_visible",
    "pg_ts_parser_is_visible", "pg_ts_template_is_visible", "pg_type_is_visible", "pg_typeof",
    "pg_wal_lsn_diff", "pg_xact_commit_timestamp", "phraseto_tsquery", "pi", "plainto_tsquery",
    "position", "power", "querytree", "quote_ident", "quote_literal", "quote_nullable", "radians",
    "random", "range_agg", "range_merge", "rank", "regexp_count", "regexp_instr", "regexp_like",
    "regexp_match", "regexp_matches", "regexp_replace", "regexp_split_to_array",
    "regexp_split_to_table", "regexp_substr", "regr_count", "regr_slope", "repeat", "replace",
    "reverse", "right", "round", "row_number", "row_security_active", "row_to_json", "rpad",
    "rtrim", "scale", "session_user", "set_bit", "set_byte", "set_config", "set_masklen",
    "setseed", "setval", "setweight", "sha224", "sha256", "sha384", "sha512", "shobj_description",
    "sign", "sin", "sinh", "split_part", "sqrt", "starts_with", "statement_timestamp", "stddev",
    "stddev_pop", "stddev_samp", "string_agg", "string_to_array", "string_to_table", "strip",
    "strpos", "substr", "substring", "sum", "tan", "text", "timeofday", "timestamp", "timestamptz",
    "timezone", "to_ascii", "to_char", "to_date", "to_hex", "to_json", "to_jsonb", "to_number",
    "to_regclass", "to_regcollation", "to_regnamespace", "to_regoper", "to_regoperator",
    "to_regproc", "to_regprocedure", "to_regrole", "to_regtype", "to_timestamp", "to_tsquery",
    "to_tsvector", "transaction_timestamp", "translate", "trim_array", "trim_scale", "trunc",
    "ts_headline", "ts_rank", "ts_rank_cd", "txid_current", "txid_current_if_assigned",
    "txid_current_snapshot", "txid_status", "unistr", "unnest", "upper", "upper_inc", "uuid_send",
    "var_pop", "var_samp", "varchar", "variance", "version", "websearch_to_tsquery", "width",
    "width_bucket", "xmlagg", "xmlcomment",
];

/// Keywords, types with a length, and the options of EXPLAIN, COPY and indexes.
#[rustfmt::skip]
const WORDS: [&str; 148] = [
    "all", "analyze", "and", "any", "array", "as", "between", "bit", "bpchar", "brin", "btree",
    "buffers", "by", "case", "cast", "char", "character", "coalesce", "collate", "columns",
    "concurrently", "conflict", "copy", "cross", "cube", "current_time", "current_timestamp", "dec", "decimal",
    "default", "distinct", "else", "except", "exists", "explain", "extract", "fetch", "filter",
    "float", "for", "from", "full", "gin", "gist", "greatest", "group", "grouping", "hash",
    "having", "if", "ilike", "in", "include", "inner", "int", "intersect", "interval", "is",
    "join", "json_array", "json_arrayagg", "json_exists", "json_object", "json_objectagg",
    "json_query", "json_scalar", "json_serialize", "json_table", "json_value", "lateral", "least",
    "left", "like", "limit", "localtime", "localtimestamp", "materialized", "merge_action",
    "national", "natural", "nchar", "normalize", "not", "nullif", "numeric", "of", "offset", "on",
    "only", "operator", "options", "or", "order", "outer", "over", "overlay", "partition",
    "passing", "position", "precision", "real", "recursive", "returning", "right", "rollup", "row",
    "rows", "select", "set", "setof", "sets", "similar", "some", "spgist", "substring",
    "symmetric", "table", "tablesample", "then", "time", "timestamp", "timestamptz", "timetz",
    "to", "treat", "trim", "union", "using", "values", "varbit", "varchar", "varying", "verbose",
    "when", "where", "window", "with", "within", "xmlattributes", "xmlconcat", "xmlelement",
    "xmlexists", "xmlforest", "xmlparse", "xmlpi", "xmlroot", "xmlserialize", "xmltable",
];

/// `pg_operator` of PostgreSQL 15, `!=`, casts and named arguments.
#[rustfmt::skip]
const OPERATORS: [&str; 78] = [
    "!!", "!=", "!~", "!~*", "!~~", "!~~*", "#", "##", "#-", "#>", "#>>", "%", "&", "&&", "&<",
    "&<|", "&>", "*", "*<", "*<=", "*<>", "*=", "*>", "*>=", "+", "-", "->", "->>", "-|-", "/",
    "::", ":=", "<", "<->", "<<", "<<=", "<<|", "<=", "<>", "<@", "<^", "=", "=>", ">", ">=", ">>",
    ">>=", ">^", "?", "?#", "?&", "?-", "?-|", "?|", "?||", "@", "@-@", "@>", "@?", "@@", "@@@",
    "^", "^@", "|", "|&>", "|/", "|>>", "||", "||/", "~", "~*", "~<=~", "~<~", "~=", "~>=~", "~>~",
    "~~", "~~*",
];

#[cfg(test)]
mod tests {
    use super::{FUNCTIONS, OPERATORS, WORDS};

    #[test]
    fn lists_are_sorted() {
        assert!(FUNCTIONS.is_sorted() && WORDS.is_sorted() && OPERATORS.is_sorted());
    }

    #[test]
    fn nothing_listed_runs_sql_that_it_is_given() {
        for part in [
            "query_to",
            "table_to",
            "cursor_to",
            "dblink",
            "lo_",
            "ts_stat",
            "ts_rewrite",
        ] {
            assert!(
                !FUNCTIONS.iter().any(|name| name.starts_with(part)),
                "{part}"
            );
        }
    }
}
