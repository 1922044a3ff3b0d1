//! A session of pgpawl's own, for one question: what is committed, as others see it.
use super::{socket::Socket, world::World};
use crate::config::Config;
use pgpawl_policy::question::Row;
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::{Client, Connection, NoTls, SimpleQueryMessage, tls::NoTlsStream};

/// The longest that a look may take; the transaction that waits for it is then not verified.
const LOOK_MAX: Duration = Duration::from_secs(10);

/// The most looks at a time: each is a connection of its own.
pub const LOOKS_MAX: usize = 4;

/// Nothing of the server's configuration may end the question early or change what it means; nobody
/// else's lock may hold it up for long.
const OPTIONS: &str = "-c lock_timeout=2000 -c statement_timeout=8000 -c search_path=pg_catalog \
    -c extra_float_digits=3 -c jit=off -c join_collapse_limit=1 -c from_collapse_limit=1 \
    -c default_transaction_read_only=on -c row_security=on";

impl World {
    /// The rows of `question` in `database`; none, with a word in the log, if there is no answer.
    pub async fn look(&self, config: &Config, database: &str, question: &str) -> Option<Vec<Row>> {
        let asked = timeout(LOOK_MAX, self.ask(config, database, question)).await;
        let failed = match asked {
            Ok(Ok(rows)) => return Some(rows),
            Ok(Err(error)) => error,
            Err(_) => "it took too long".to_owned(),
        };
        tracing::warn!(database, error = %failed, "pgpawl's own session could not see what is committed");
        self.metrics.upstream_error("look");
        None
    }

    async fn ask(
        &self,
        config: &Config,
        database: &str,
        question: &str,
    ) -> Result<Vec<Row>, String> {
        let user = config.look_user.as_deref().ok_or("no `look_user`")?;
        let _seat = self.looks.acquire().await.map_err(|e| e.to_string())?;
        let socket = self.connect(config).await?;
        let mut settings = tokio_postgres::Config::new();
        settings
            .user(user)
            .dbname(database)
            .application_name("pgpawl")
            .options(OPTIONS);
        if let Some(password) = &config.look_password {
            settings.password(&password.0);
        }
        let explained = |error: tokio_postgres::Error| match error.as_db_error() {
            Some(error) => error.to_string(),
            None => error.to_string(),
        };
        let (client, connection) = settings
            .connect_raw(socket, NoTls)
            .await
            .map_err(explained)?;
        let rows = answered(client, connection, question).await;
        rows.map_err(explained)
    }
}

/// Runs both halves of a session until the question is answered.
async fn answered(
    client: Client,
    connection: Connection<Socket, NoTlsStream>,
    question: &str,
) -> Result<Vec<Row>, tokio_postgres::Error> {
    let messages = tokio::select! {
        messages = client.simple_query(question) => messages,
        Err(error) = connection => Err(error),
    }?;
    let rows = messages.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(
            (0..row.len())
                .map(|column| row.get(column).map(|text| text.as_bytes().to_vec()))
                .collect(),
        ),
        _ => None,
    });
    Ok(rows.collect())
}
