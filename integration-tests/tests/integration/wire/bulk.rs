//! Large messages stream through in bounded memory.

use std::io::{Read, Write};
use std::thread;

use pgpawl_integration_tests::pgpawl::Pgpawl;
use pgpawl_integration_tests::postgres::{OWNER, Postgres};
use pgpawl_integration_tests::wire::{Client, Received, brief, message};

const MIB: usize = 1 << 20;

/// What pgpawl may need on top of what it had, however much streams through.
const GROWTH_KIB_MAX: u64 = 24 * 1024;

/// How much is copied: 256 MiB, or 1 GiB where `PGPAWL_TEST_COPY_MIB=1024` says so.
fn copied_mib() -> usize {
    let said = std::env::var_os("PGPAWL_TEST_COPY_MIB").and_then(|mib| mib.into_string().ok());
    said.map_or(256, |mib| {
        mib.parse().expect("PGPAWL_TEST_COPY_MIB is a number")
    })
}

struct Scene {
    pgpawl: Pgpawl,
    client: Client,
    before_kib: u64,
}

fn scene(stem: &str) -> Scene {
    let postgres = Postgres::shared();
    let database = postgres.database(stem);
    postgres.run(&database, "CREATE UNLOGGED TABLE bulk (line text)");
    postgres.run(
        &database,
        "ALTER TABLE bulk ALTER line SET STORAGE EXTERNAL",
    );
    postgres.run(&database, "ALTER TABLE bulk OWNER TO owner");
    // Under transaction coverage all of a statement's text must be read, so it has a limit.
    let coverage = if stem == "literal" {
        "statement"
    } else {
        "transaction"
    };
    let pgpawl = Pgpawl::before(postgres.port())
        .args(&["--coverage", coverage])
        .start();
    let mut client = Client::session(pgpawl.port(), OWNER, &database);
    client.rows("SELECT count(*) FROM bulk");
    let before_kib = pgpawl.memory_kib("VmHWM");
    Scene {
        pgpawl,
        client,
        before_kib,
    }
}

impl Scene {
    fn assert_bounded(&self) {
        let growth = self
            .pgpawl
            .memory_kib("VmHWM")
            .saturating_sub(self.before_kib);
        println!("the peak grew by {growth} KiB");
        assert!(growth <= GROWTH_KIB_MAX, "the peak grew by {growth} KiB");
    }

    fn answer(&mut self) -> Vec<String> {
        self.client.until_ready().iter().filter_map(brief).collect()
    }
}

#[test]
fn a_copy_in_streams_in_bounded_memory() {
    let mut scene = scene("copy_in");
    // The server throws the rows away, so that the disk is not what is measured.
    scene
        .client
        .send(&message::query(b"COPY bulk FROM PROGRAM 'true'"));
    let refused = scene.answer();
    assert_eq!(refused, ["error 42501", "ready I"], "an ordinary role");
    scene.client.rows(
        "CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    );
    scene
        .client
        .rows("CREATE TRIGGER skip BEFORE INSERT ON bulk FOR EACH ROW EXECUTE FUNCTION skip()");
    scene.client.send(&message::query(b"COPY bulk FROM STDIN"));
    assert!(matches!(scene.client.receive(), Received::Frame(frame) if frame.tag == b'G'));
    let mut line = vec![b'x'; 64 * 1024 - 1];
    line.push(b'\n');
    let megabyte = message::tagged(b'd', &line).repeat(16);
    for _ in 0..copied_mib() {
        scene.client.send(&megabyte);
    }
    scene.client.send(&message::tagged(b'c', &[]));
    assert_eq!(scene.answer(), ["done COPY 0", "ready I"]);
    scene.assert_bounded();
}

#[test]
fn a_copy_out_streams_in_bounded_memory() {
    let mut scene = scene("copy_out");
    let mib = copied_mib();
    let copy =
        format!("COPY (SELECT repeat('x', 1048575) FROM generate_series(1, {mib})) TO STDOUT");
    scene.client.send(&message::query(copy.as_bytes()));
    let mut data = 0;
    loop {
        match scene.client.receive() {
            Received::Closed => panic!("closed after {data} bytes"),
            Received::Frame(frame) if frame.tag == b'd' => data += frame.body.len(),
            Received::Frame(frame) if frame.tag == b'Z' => break,
            Received::Frame(_) => {}
        }
    }
    assert_eq!(data, mib * MIB);
    scene.assert_bounded();
}

#[test]
fn a_row_of_200_mb_streams_out_in_bounded_memory() {
    let mut scene = scene("row_out");
    scene
        .client
        .send(&message::query(b"SELECT repeat('x', 200000000)"));
    let mut total = 0;
    let mut chunk = vec![0; MIB];
    while total < 200_000_000 {
        let count = scene.client.stream().read(&mut chunk).expect("bytes");
        assert!(count > 0, "closed after {total} bytes");
        total += count;
    }
    scene.assert_bounded();
}

#[test]
fn a_row_of_200_mb_streams_in_by_copy_in_bounded_memory() {
    let mut scene = scene("row_in");
    scene.client.send(&message::query(b"COPY bulk FROM STDIN"));
    assert!(matches!(scene.client.receive(), Received::Frame(frame) if frame.tag == b'G'));
    let mut row = vec![b'x'; 200_000_000];
    row.push(b'\n');
    scene.client.send(&message::tagged(b'd', &row));
    scene.client.send(&message::tagged(b'c', &[]));
    assert_eq!(scene.answer(), ["done COPY 1", "ready I"]);
    assert_eq!(
        scene.client.rows("SELECT length(line) FROM bulk"),
        [["200000000"]]
    );
    scene.assert_bounded();
}

#[test]
fn a_parameter_of_200_mb_streams_in_bounded_memory() {
    let mut scene = scene("parameter");
    scene
        .client
        .send(&message::parse("", b"INSERT INTO bulk VALUES ($1)"));
    let value = message::Parameter::Text(vec![b'x'; 200_000_000]);
    scene.client.send(&message::bind("", "", &[value]));
    scene
        .client
        .send(&[message::execute("", 0), message::sync()].concat());
    assert_eq!(
        scene.answer(),
        ["parsed", "bound", "done INSERT 0 1", "ready I"]
    );
    scene.assert_bounded();
}

/// A statement's text is looked at as a whole: a literal of 200 MB either passes in bounded memory or
/// is refused by its limit, in words, with the session usable afterwards.
#[test]
fn a_literal_of_200_mb_is_passed_or_refused_by_its_limit() {
    let mut scene = scene("literal");
    let mut text = b"INSERT INTO bulk VALUES ('".to_vec();
    text.resize(text.len() + 200_000_000, b'x');
    text.extend(b"')");
    scene.client.send(&message::query(&text));
    let answer = scene.answer();
    let passed = ["done INSERT 0 1", "ready I"];
    let refused = ["error 54000", "ready I"];
    assert!(answer == passed || answer == refused, "{answer:?}");
    assert_eq!(scene.client.rows("SELECT 'usable'"), [["usable"]]);
    scene.assert_bounded();
}

/// Both directions at once, neither waiting for the other: a client that sends a pipeline of large
/// statements and reads nothing until it has sent all.
#[test]
fn a_client_that_reads_late_does_not_block_one_that_reads() {
    let mut scene = scene("late_reader");
    let database = Postgres::shared().database("prompt_reader");
    let mut prompt = Client::session(scene.pgpawl.port(), OWNER, &database);
    let mut late = scene.client.stream().try_clone().expect("a second handle");
    let sending = thread::spawn(move || {
        for _ in 0..64 {
            late.write_all(&message::query(b"SELECT repeat('x', 1000000)"))
                .expect("sent");
        }
    });
    assert_eq!(prompt.rows("SELECT 'prompt'"), [["prompt"]]);
    sending.join().expect("the sending thread");
    for _ in 0..64 {
        let frames = scene.client.until_ready();
        let length: usize = frames
            .iter()
            .filter(|frame| frame.tag == b'D')
            .map(|frame| frame.body.len())
            .sum();
        assert_eq!(length, 1_000_006);
    }
    scene.assert_bounded();
}
