//! What an idle session costs, by opening two thousand.

use pgpawl_integration_tests::fake_server::FakeServer;
use pgpawl_integration_tests::pgpawl::Pgpawl;
use pgpawl_integration_tests::wait;
use pgpawl_integration_tests::wire::Client;

const SESSIONS: u64 = 2000;
/// The sessions that have authenticated.
const OPEN: &[&str] = &["state=\"open\""];
const KIB_PER_SESSION_MAX: u64 = 32;

/// Each session has sent a query before it idles: what it needed then is given back.
#[test]
fn two_thousand_idle_sessions_cost_at_most_32_kib_each() {
    let server = FakeServer::start();
    let pgpawl = Pgpawl::before(server.port())
        .args(&["--coverage", "statement"])
        .start();
    let session = || {
        let mut client = Client::session(pgpawl.port(), "someone", "somewhere");
        assert_eq!(
            client.answer("SELECT 1 FROM schema_migrations"),
            ["done SELECT 0", "ready I"]
        );
        client
    };
    // The first ones pay for what all share.
    let first: Vec<Client> = (0..50).map(|_| session()).collect();
    let before = pgpawl.memory_kib("VmRSS");
    let mut clients: Vec<Client> = (0..SESSIONS).map(|_| session()).collect();
    wait::until_true("all sessions are counted as open", || {
        pgpawl.metric("pgpawl_sessions", OPEN) >= 2050.0
    });
    let each = (pgpawl.memory_kib("VmRSS") - before) / SESSIONS;
    println!("{each} KiB for each idle session");
    assert!(
        each <= KIB_PER_SESSION_MAX,
        "{each} KiB for each idle session"
    );
    for client in clients.iter_mut().step_by(97) {
        assert_eq!(client.answer("SELECT 1"), ["done SELECT 0", "ready I"]);
    }
    drop((first, clients));
    wait::until_true("all sessions are closed", || {
        pgpawl.metric("pgpawl_sessions", OPEN) < 1.0
    });
}
