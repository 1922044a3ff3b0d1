//! A session of pgpawl's own, for one question: what is committed, as others see it.
use super::{socket::Socket, world::World};
use crate::{
    config::Config,
    session::{Looking, Seen},
};
use pgpawl_policy::question::Row;
use std::{
    collections::BTreeSet,
    sync::{MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::timeout;
use tokio_postgres::{
    Client, Connection, NoTls, SimpleQueryMessage, error::SqlState, tls::NoTlsStream,
};

/// The longest that a look may take; the transaction that waits for it is then not verified.
const LOOK_MAX: Duration = Duration::from_secs(10);

/// The most looks at a time: each is a connection of its own.
pub const LOOKS_MAX: usize = 4;

/// The most users that are remembered because pgpawl is not let in as them.
const TURNED_AWAY_MAX: usize = 1_024;

/// Nothing of the server's configuration may end the question early or change what it means; nobody
/// else's lock may hold it up for long.
const OPTIONS: &str = "-c lock_timeout=2000 -c statement_timeout=8000 -c search_path=pg_catalog \
    -c extra_float_digits=3 -c jit=off -c join_collapse_limit=1 -c from_collapse_limit=1 \
    -c default_transaction_read_only=on -c row_security=on";

impl World {
    /// What a session of pgpawl's own sees; a word in the log if it sees nothing.
    pub async fn look(&self, config: &Config, looking: &Looking) -> Seen {
        let asked = timeout(LOOK_MAX, self.ask(config, looking)).await;
        let error = match asked {
            Ok(Ok(seen)) => return seen,
            Ok(Err(error)) => error,
            Err(_) => "it took too long".to_owned(),
        };
        let database = &looking.database;
        tracing::warn!(
            database,
            error,
            "pgpawl's own session could not see what is committed"
        );
        self.metrics.upstream_error("look");
        Seen::Nothing
    }

    async fn ask(&self, config: &Config, looking: &Looking) -> Result<Seen, String> {
        let named = config.look_user.as_deref();
        if named.is_none() && self.is_turned_away(&looking.user) {
            return Ok(Seen::Nothing);
        }
        let user = named.unwrap_or(&looking.user);
        let _seat = self.looks.acquire().await.map_err(|e| e.to_string())?;
        let socket = self.connect(config).await?;
        let mut settings = tokio_postgres::Config::new();
        settings
            .user(user)
            .dbname(&looking.database)
            .application_name("pgpawl")
            .options(OPTIONS);
        // Without one, the server is to say that it wants one.
        let password = config.look_password.as_ref().filter(|_| named.is_some());
        settings.password(password.map_or("", |password| &password.0));
        let seen = async {
            let (client, connection) = settings.connect_raw(socket, NoTls).await?;
            answered(client, connection, &looking.text).await
        };
        match seen.await {
            Ok(rows) => Ok(Seen::Rows(rows)),
            Err(error) if error.code() == Some(&SqlState::INVALID_CATALOG_NAME) => {
                Ok(Seen::NoDatabase)
            }
            Err(error) => {
                if named.is_none() && is_refused(&error) {
                    self.turn_away(user);
                }
                Err(explained(&error))
            }
        }
    }

    fn users_turned_away(&self) -> MutexGuard<'_, BTreeSet<String>> {
        (self.turned_away.lock()).unwrap_or_else(PoisonError::into_inner)
    }

    fn is_turned_away(&self, user: &str) -> bool {
        self.users_turned_away().contains(user)
    }

    fn turn_away(&self, user: &str) {
        let mut users = self.users_turned_away();
        if users.len() >= TURNED_AWAY_MAX {
            users.clear();
        }
        users.insert(user.to_owned());
    }

    /// The configuration was read again.
    pub(super) fn lets_in_again(&self) {
        self.users_turned_away().clear();
    }
}

/// The server does not let this user in by its word alone.
fn is_refused(error: &tokio_postgres::Error) -> bool {
    error
        .code()
        .is_some_and(|code| code.code().starts_with("28"))
}

fn explained(error: &tokio_postgres::Error) -> String {
    error
        .as_db_error()
        .map_or_else(|| error.to_string(), ToString::to_string)
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
