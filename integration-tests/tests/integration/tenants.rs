//! A version table in each of hundreds of schemas: the check of a transaction that names none of them.

use pgpawl_integration_tests::postgres::{OWNER, Postgres};
use pgpawl_integration_tests::wire::{Client, message};

use crate::rules::pgpawl;

/// More than are named one by one in the check, and more than are all counted by it.
const TENANTS: [usize; 2] = [20, 300];

/// What a batch of one Execute of the statement `name` is answered.
fn executed(client: &mut Client, name: &str) -> Vec<String> {
    client.send(&message::bind("", name, &[]));
    client.send(&message::execute("", 0));
    client.send(&message::sync());
    client.answered()
}

#[test]
fn hidden_changes_are_found_in_any_of_hundreds_of_schemas() {
    let postgres = Postgres::shared();
    let pgpawl = pgpawl().mode("enforce").start();
    for tenants in TENANTS {
        let database = postgres.database("tenants");
        for tenant in 1..=tenants {
            let schema = format!("tenant_{tenant}");
            let text = format!(
                "CREATE SCHEMA {schema} AUTHORIZATION {OWNER}; \
                 CREATE TABLE {schema}.schema_migrations (version varchar PRIMARY KEY); \
                 INSERT INTO {schema}.schema_migrations VALUES ('1'), ('2'); \
                 ALTER TABLE {schema}.schema_migrations OWNER TO {OWNER}"
            );
            postgres.run(&database, &text);
        }
        let code = "LANGUAGE plpgsql AS $$ BEGIN EXECUTE sql; END $$";
        postgres.run(
            &database,
            &format!("CREATE FUNCTION run(sql text) RETURNS void {code}"),
        );
        postgres.run(&database, "CREATE TABLE other (id int)");
        postgres.run(&database, "GRANT ALL ON other TO PUBLIC");
        let mut client = Client::session(pgpawl.port(), OWNER, &database);
        let last = format!("tenant_{tenants}.schema_migrations");
        // No text names the table.
        let hidden = |statement: &str| {
            let parts = statement
                .replace('\'', "''")
                .replace("migrations", "mig' || 'rations");
            format!("SELECT run('{parts}')")
        };
        let lower = hidden(&format!("DELETE FROM {last} WHERE version = '2'"));
        let same = hidden(&format!("UPDATE {last} SET version = version"));
        for (name, text) in [("lower", lower.as_str()), ("same", &same)] {
            client.send(&message::parse(name, text.as_bytes()));
        }
        client.send(&message::parse("write", b"INSERT INTO other VALUES (1)"));
        client.send(&message::sync());
        client.until_ready();
        for _ in 0..2 {
            assert_eq!(client.answer("SELECT 1").len(), 3);
            let written = ["bound", "done INSERT 0 1", "ready I"];
            assert_eq!(executed(&mut client, "write"), written);
            for name in ["lower", "same"] {
                let answer = executed(&mut client, name);
                let refused = answer.contains(&"error 42501".to_owned());
                assert_eq!(refused, name == "lower", "{tenants} {name}: {answer:?}");
            }
        }
        let answer = client.answer(&lower);
        assert!(answer.contains(&"error 42501".to_owned()), "{answer:?}");
        client.answer("BEGIN");
        client.answer(&lower);
        assert_eq!(client.answer("COMMIT"), ["error 42501", "ready I"]);
        client.end();
        let left = format!("SELECT count(*) FROM {last}");
        assert_eq!(postgres.value(&database, &left), "2");
        assert_eq!(postgres.value(&database, "SELECT count(*) FROM other"), "2");
    }
}
