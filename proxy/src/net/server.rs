//! The accept loop: hands connections to workers, obeys signals, drains.
use super::{
    listener::Listener,
    open_files, upstream,
    worker::{Arrival, Client, Worker},
    world::World,
};
use crate::{error::Error, session::Stop, wire::backend};
use std::{io::Write, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc::Receiver,
    time::{interval, sleep, timeout},
};

/// What the process tells the server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Read the configuration again.
    Reload,
    /// Take no more clients, let transactions finish, end.
    Drain,
    /// End.
    Stop,
}

/// Connections beyond `sessions_max` that may come in to cancel a query or to be refused properly,
/// after their startup packet.
const SPARE_CONNECTIONS: usize = 128;
/// The wait after a failed accept: what is short then (files, memory) is not there at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long it is believed which guards have a table: until then a table that another process made
/// is checked only by statements that name it.
const PRESENT_MAX: Duration = Duration::from_millis(crate::session::TICK_MS);
/// The wait for sessions that were told to end now.
const STOP_MAX: Duration = Duration::from_secs(2);
/// How often an ending server looks whether the last session is gone.
const STOP_POLL: Duration = Duration::from_millis(10);

/// A bound server.
#[derive(Debug)]
pub struct Server {
    world: Arc<World>,
    listener: Listener,
    workers: Vec<Worker>,
}

impl Server {
    /// Binds the address and starts the workers.
    ///
    /// # Errors
    /// When the address cannot be bound, a thread not started, or a required upstream is away.
    pub async fn bind(world: Arc<World>) -> Result<Self, Error> {
        let generation = world.generation();
        let config = &generation.config;
        let listener = Listener::bind(&config.listen, "clients").await?;
        open_files::raise(config.limits.sessions_max);
        check_upstream(&world).await?;
        let workers = (0..config.workers)
            .map(|number| Worker::start(number, Arc::clone(&world)))
            .collect::<Result<_, _>>()
            .map_err(|source| Error::System {
                what: "cannot start a worker thread",
                source,
            })?;
        Ok(Self {
            world,
            listener,
            workers,
        })
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> String {
        self.listener.address()
    }

    /// Serves until an order ends it. `reload` is called for [`Order::Reload`].
    pub async fn run(self, mut orders: Receiver<Order>, reload: impl Fn(&World)) {
        let mut clock = interval(PRESENT_MAX);
        let ended = loop {
            tokio::select! {
                client = self.listener.accept() => match client {
                    Ok(client) => self.admit(client),
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a client");
                        sleep(ACCEPT_PAUSE).await;
                    }
                },
                _ = clock.tick() => self.world.generation().shared.present.tick(),
                order = orders.recv() => match order {
                    Some(Order::Reload) => reload(&self.world),
                    Some(Order::Drain) => break Stop::Drain,
                    Some(Order::Stop) | None => break Stop::Now,
                },
            }
        };
        let Self {
            world,
            listener,
            workers,
        } = self;
        drop(listener);
        world.drain();
        if ended == Stop::Drain {
            drain(&world, &mut orders).await;
        }
        world.sessions.stop(Stop::Now);
        // Those that take longer lose their connection when the process ends.
        let _ = timeout(STOP_MAX, all_gone(&world)).await;
        drop(workers);
        world.finish_events();
    }

    fn admit(&self, client: Client) {
        let generation = self.world.generation();
        let connections_max = generation
            .config
            .limits
            .sessions_max
            .saturating_add(SPARE_CONNECTIONS);
        if self.world.sessions.len() >= connections_max {
            self.world.metrics.ended("too_many_sessions");
            turn_away(client);
            return;
        }
        self.world.metrics.sessions_total.inc();
        let place = self.world.sessions.enter();
        if let Some(worker) = self.workers.iter().min_by_key(|worker| worker.load()) {
            worker.give(Arrival {
                client,
                place,
                generation,
            });
        }
    }
}

async fn check_upstream(world: &World) -> Result<(), Error> {
    let generation = world.generation();
    let config = &generation.config;
    let limit = config.limits.connect_timeout;
    match upstream::connect(&config.upstream, limit).await {
        Ok(_) => Ok(()),
        Err(why) if config.require_upstream => Err(Error::Upstream {
            address: config.upstream.to_string(),
            source: std::io::Error::other(why),
        }),
        Err(why) => {
            tracing::warn!(
                error = %why,
                "the upstream is down; started anyway (use --require-upstream to exit instead)"
            );
            world.metrics.upstream_error(why.kind());
            Ok(())
        }
    }
}

async fn drain(world: &World, orders: &mut Receiver<Order>) {
    let limit = world.generation().config.limits.drain_timeout;
    tracing::info!(sessions = world.sessions.len(), "draining");
    world.sessions.stop(Stop::Drain);
    let stopped = async { while !matches!(orders.recv().await, Some(Order::Stop) | None) {} };
    tokio::select! {
        () = all_gone(world) => {}
        () = sleep(limit) => tracing::warn!(sessions = world.sessions.len(), "drain_timeout_ms is over"),
        () = stopped => {}
    }
}

async fn all_gone(world: &World) {
    while !world.sessions.is_empty() {
        sleep(STOP_POLL).await;
    }
}

/// Says no without a task; a client that does not read it at once does not get it.
fn turn_away(client: Client) {
    let no = backend::fatal("53300", "sorry, too many clients already".to_owned());
    // The socket does not block, and whether the client reads it is its own affair.
    let _ = match client {
        Client::Tcp(mut stream) => stream.write(&no),
        Client::Unix(mut stream) => stream.write(&no),
    };
}
