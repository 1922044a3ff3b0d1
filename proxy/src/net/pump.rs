//! One session's task: asks the pure session what to do, and does it.
//!
//! ```text
//! read ──┬──▶ flush ──▶ step until Wait ──▶ flush ──▶ read ──┐
//!        └── something moved ◀───────────────────────────────┤
//!  ▲                    nothing can: sleep until a socket can ┘
//!  └──────────────────────────────────────────────────────────┘
//! ```
//!
//! Both directions are polled in turn by one function, so that a destination that takes nothing
//! stops its own direction only. What needs to wait for something else (a connection, a disk) is an
//! errand, done between polls.
use super::{
    clock::Clock,
    counted::Counted,
    errand::{Errand, Outcome},
    farewell,
    lane::Lane,
    registry::Place,
    socket::Socket,
    world::{Generation, World},
};
use crate::{
    runtime,
    session::{Action, Ending, Session, Side, Tale},
    telemetry::event::Judged,
    wire::backend,
};
use bytes::Bytes;
use std::{
    future::{Future, poll_fn},
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};
use tokio::time::Sleep;

/// One session with its sockets.
#[derive(Debug)]
pub struct Pump {
    session: Session,
    client: Socket,
    server: Option<Socket>,
    /// From the client to the server.
    up: Lane,
    /// From the server to the client.
    down: Lane,
    world: Arc<World>,
    generation: Arc<Generation>,
    place: Place,
    counted: Counted,
    login: Option<Pin<Box<Sleep>>>,
    evaluation: Option<Instant>,
    clock: Clock,
    /// The bytes that the session wanted last of client and server.
    wants: (usize, usize),
}

impl Pump {
    /// A session for a client that has just connected.
    #[must_use]
    pub fn new(
        client: Socket,
        world: Arc<World>,
        generation: Arc<Generation>,
        place: Place,
    ) -> Self {
        Self {
            session: Session::new(Arc::clone(&generation.shared), client.peer_ip())
                .woken_by(place.wake()),
            client,
            server: None,
            up: Lane::default(),
            down: Lane::default(),
            login: Some(runtime::timer(generation.config.limits.login_timeout)),
            counted: Counted::starting(&world),
            world,
            generation,
            place,
            evaluation: None,
            clock: Clock::default(),
            wants: (0, 0),
        }
    }

    /// Runs the session to its end. Borrowed, for a future that owned it would have room for it twice.
    pub async fn run(&mut self) -> Outcome {
        loop {
            let errand = poll_fn(|cx| self.poll(cx)).await;
            // In a box of its own: a session that waits would have room for the largest of them.
            if let Some(outcome) = Box::pin(self.go(errand)).await {
                return outcome;
            }
        }
    }

    /// Does an errand; with an outcome, the last.
    async fn go(&mut self, errand: Errand) -> Option<Outcome> {
        match errand {
            Errand::Connect => {
                if let Some(outcome) = self.connect().await {
                    return Some(self.close(outcome).await);
                }
            }
            Errand::Look(looking) => {
                let config = &self.generation.config;
                let seen = self.world.look(config, &looking).await;
                self.session.looked(&seen);
            }
            Errand::Dismiss => farewell::shut_down(&mut self.client).await,
            Errand::Record(observation) => self.world.record(observation).await,
            Errand::Cancel(packet) => self.cancel(packet).await,
            Errand::Close(outcome) => return Some(self.close(outcome).await),
        }
        None
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Errand> {
        if let Some(how) = self.place.control().heard(cx.waker()) {
            self.session.stop(how);
        }
        self.up.woken();
        self.down.woken();
        // What wakes it is nearly always something to read.
        self.fill(cx);
        loop {
            self.flush(cx);
            self.wants = match self.steps() {
                Ok(wants) => wants,
                Err(errand) => {
                    // What came before the errand need not wait for it.
                    self.flush(cx);
                    return Poll::Ready(errand);
                }
            };
            let freed = self.flush(cx);
            let read = self.fill(cx);
            if !freed && !read && !self.clock.ticked(&mut self.session, cx) {
                return self.rest(cx);
            }
        }
    }

    /// Takes actions until there is nothing more to do (`Ok`: bytes wanted of client and server)
    /// or something has to be done first.
    fn steps(&mut self) -> Result<(usize, usize), Errand> {
        loop {
            match self.session.step(self.up.window(), self.down.window()) {
                Action::Relay {
                    from: Side::Client,
                    len,
                } => self.up.relay(len),
                Action::Relay {
                    from: Side::Server,
                    len,
                } => self.down.relay(len),
                Action::Drop {
                    from: Side::Client,
                    len,
                } => self.up.skip(len),
                Action::Drop {
                    from: Side::Server,
                    len,
                } => self.down.skip(len),
                Action::Send {
                    to: Side::Client,
                    bytes,
                } => self.down.send(&bytes),
                Action::Send {
                    to: Side::Server,
                    bytes,
                } => self.up.send(&bytes),
                Action::Tell(tale) => self.tell(*tale),
                Action::Wait { client, server } => return Ok((client, server)),
                Action::Look(looking) => return Err(Errand::Look(*looking)),
                Action::Connect => return Err(Errand::Connect),
                Action::Dismiss => return Err(Errand::Dismiss),
                Action::Cancel { packet } => return Err(Errand::Cancel(packet)),
                Action::Record(observation) => return Err(Errand::Record(*observation)),
                Action::Close(ending) => return Err(Errand::Close(Outcome::Ended(ending))),
            }
        }
    }

    /// Writes what is unsent; true when a direction that was blocked goes on.
    fn flush(&mut self, cx: &mut Context<'_>) -> bool {
        let client = self.flush_to(Side::Client, cx);
        self.flush_to(Side::Server, cx) || client
    }

    fn flush_to(&mut self, side: Side, cx: &mut Context<'_>) -> bool {
        let (lane, socket) = match side {
            Side::Client => (&mut self.down, Some(&mut self.client)),
            Side::Server => (&mut self.up, self.server.as_mut()),
        };
        let Some(socket) = socket.filter(|_| lane.has_unsent()) else {
            return false;
        };
        let was_blocked = lane.is_blocked();
        match lane.poll_flush(socket, cx) {
            Poll::Ready(Ok(())) => was_blocked,
            Poll::Ready(Err(error)) => {
                self.gone(side, &error);
                true
            }
            Poll::Pending => false,
        }
    }

    /// Reads what is wanted and there; true when something came.
    fn fill(&mut self, cx: &mut Context<'_>) -> bool {
        let wants = self.wants;
        let mut came = false;
        if let Poll::Ready(read) = self.up.poll_fill(&mut self.client, wants.0, cx) {
            came = true;
            self.arrived(Side::Client, read);
        }
        if let Some(server) = &mut self.server
            && let Poll::Ready(read) = self.down.poll_fill(server, wants.1, cx)
        {
            came = true;
            self.arrived(Side::Server, read);
        }
        came
    }

    fn arrived(&mut self, side: Side, read: io::Result<usize>) {
        match read {
            Ok(1..) => {}
            Ok(0) => self.end(side),
            Err(error) => {
                tracing::debug!(?side, %error, "cannot read");
                self.end(side);
            }
        }
    }

    fn end(&mut self, side: Side) {
        let lane = match side {
            Side::Client => &mut self.up,
            Side::Server => &mut self.down,
        };
        if !lane.is_ended() {
            lane.end();
            self.session.ended(side);
        }
    }

    /// `side` takes no more bytes. What it sent before may explain why (a server's last error), so
    /// that is read before its end is told.
    fn gone(&mut self, side: Side, error: &io::Error) {
        tracing::debug!(?side, %error, "cannot write");
        let mut cx = Context::from_waker(std::task::Waker::noop());
        match side {
            Side::Client => self.down.deafen(),
            Side::Server => {
                self.up.deafen();
                let want = self.down.window().len().saturating_add(1);
                if let Some(server) = &mut self.server {
                    self.down.woken();
                    // Nothing more to read, or an error: both are the end that is told below.
                    let _ = self.down.poll_fill(server, want, &mut cx);
                }
            }
        }
        self.end(side);
    }

    /// Nothing can be done now.
    fn rest(&mut self, cx: &mut Context<'_>) -> Poll<Errand> {
        let wants = self.wants;
        if let Some(login) = &mut self.login
            && login.as_mut().poll(cx).is_ready()
        {
            self.login = None;
            return Poll::Ready(Errand::Close(Outcome::LoginTimeout));
        }
        if self.session.rests() {
            self.up.give_back();
            self.down.give_back();
        }
        let can_move = |lane: &Lane, want: usize| {
            lane.is_blocked() || (!lane.is_ended() && want > lane.window().len())
        };
        let on_server = self.server.is_some() && can_move(&self.down, wants.1);
        if on_server || can_move(&self.up, wants.0) {
            return Poll::Pending;
        }
        tracing::error!(
            ?wants,
            session = self.place.id(),
            "a session waits for nothing"
        );
        Poll::Ready(Errand::Close(Outcome::Stuck))
    }

    fn tell(&mut self, tale: Tale) {
        match tale {
            Tale::EvaluationBegan => self.evaluation = Some(runtime::now()),
            Tale::EvaluationEnded => {
                if let Some(began) = self.evaluation.take() {
                    let seconds = began.elapsed().as_secs_f64();
                    self.world.metrics.evaluation_seconds.observe(seconds);
                }
            }
            Tale::Opened {
                who,
                inspected,
                cancel_key,
            } => {
                self.login = None;
                self.counted.open();
                if let (Some(key), Some(server)) = (cancel_key, &self.server) {
                    let target =
                        super::upstream::Target::of(server, &self.generation.config.upstream);
                    self.place.remember_key(key, target);
                }
                self.world.opened(self.place.id(), &who, inspected);
            }
            Tale::Judged {
                who,
                findings,
                fingerprint,
                statement,
                unrecorded,
            } => {
                let judged = Judged {
                    findings: &findings,
                    fingerprint: &fingerprint,
                    statement: &statement,
                    unrecorded,
                };
                self.world.judged(&who, &judged);
            }
            Tale::Hold { who, fate, why } => self.world.held(&who, fate, why),
        }
    }

    /// Connects to the upstream, or says how the session ends instead.
    async fn connect(&mut self) -> Option<Outcome> {
        let config = &self.generation.config;
        if !self.place.admit(config.limits.sessions_max) {
            let message = "sorry, too many clients already".to_owned();
            self.down.send(&backend::fatal("53300", message));
            return Some(Outcome::TooMany);
        }
        match self.world.connect(config).await {
            Ok(socket) => {
                self.server = Some(socket);
                self.session.connected();
            }
            Err(why) => self.session.connect_failed(&why),
        }
        None
    }

    async fn cancel(&mut self, packet: Bytes) {
        // Length and request code come before the key (protocol-message-formats, CancelRequest).
        let key = packet.get(8..).unwrap_or_default();
        let target = self.world.target(key, &self.generation.config);
        let limit = self.generation.config.limits.connect_timeout;
        if let Err(error) = target.cancel(&packet, limit).await {
            tracing::warn!(%target, %error, "a cancel request could not be handed on");
            self.world.metrics.upstream_error("cancel");
        }
    }

    async fn close(&mut self, outcome: Outcome) -> Outcome {
        if matches!(outcome, Outcome::LoginTimeout) && self.server.is_some() {
            let message = "canceling authentication due to timeout".to_owned();
            self.down.send(&backend::fatal("57014", message));
        }
        let server = self.server.as_mut().map(|server| (server, &mut self.up));
        farewell::flush((&mut self.client, &mut self.down), server).await;
        let finished = matches!(outcome, Outcome::Ended(Ending::Finished));
        farewell::shut_down(&mut self.client).await;
        if let Some(server) = &mut self.server {
            farewell::shut_down(server).await;
        }
        if !finished && !self.up.is_ended() {
            farewell::linger(&mut self.client).await;
        }
        outcome
    }
}
