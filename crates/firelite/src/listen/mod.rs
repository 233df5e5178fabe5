//! Listen: several targets on one stream, told of what is on disk.
//!
//! A stream remembers one position in the change log. When the log has grown, it opens a
//! snapshot, reads the net changes since its position, tells its targets' share of them, and
//! moves to the snapshot's position. Resuming a target with a token is the same step from the
//! token's position, so there is one way in which changes are found.

mod session;
mod target;
mod token;

#[cfg(test)]
mod tests;

use gcloud_sdk::google::firestore::v1::{
    ListenRequest, ListenResponse, Target, listen_request::TargetChange,
};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use crate::{
    faults::StreamFault,
    limits::TOKEN_REFRESH_INTERVAL,
    name::Database,
    refusal::Refusal,
    service::{Context, Outbox},
    store::{Snapshot, Store},
};
use session::Session;

/// Serves one stream until its client goes, the server stops or the store fails.
pub(crate) async fn serve(
    context: Context,
    mut inbound: Streaming<ListenRequest>,
    outbox: Outbox<ListenResponse>,
    shutdown: CancellationToken,
) -> Result<(), Status> {
    let _counted = context.metrics.listener();
    tokio::select! {
        () = outbox.closed() => Ok(()),
        () = shutdown.cancelled() => Err(Refusal::Unavailable.into()),
        outcome = converse(context, &mut inbound, outbox.clone()) => outcome,
    }
}

async fn converse(
    context: Context,
    inbound: &mut Streaming<ListenRequest>,
    outbox: Outbox<ListenResponse>,
) -> Result<(), Status> {
    let Context { store, metrics, faults, .. } = context;
    let (mut revision, mut faults) = (store.revision(), faults.stream());
    let mut refresh = interval(TOKEN_REFRESH_INTERVAL);
    // The first tick comes at once.
    refresh.reset();
    refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let session = Session::new(store.epoch(), metrics, outbox);
    let mut stream = Stream { session, store, database: None };
    loop {
        let step = tokio::select! {
            request = inbound.message() => match request? {
                Some(request) => Step::Request(Box::new(request)),
                None => return Ok(()),
            },
            changed = revision.changed() => match changed {
                Ok(()) => Step::CatchUp,
                Err(_stopped) => return Err(Refusal::Unavailable.into()),
            },
            _ = refresh.tick() => Step::Refresh,
            fault = faults.next() => match fault {
                StreamFault::Drop => return Err(Refusal::Unavailable.into()),
                StreamFault::Reset => Step::Reset,
            },
        };
        stream = stream.step(step).await?;
    }
}

/// What a stream does next.
enum Step {
    Request(Box<ListenRequest>),
    CatchUp,
    Refresh,
    Reset,
}

/// One stream between two steps.
struct Stream {
    session: Session,
    store: Store,
    database: Option<Database>,
}

impl Stream {
    async fn step(mut self, step: Step) -> Result<Self, Refusal> {
        self.session.begin_step();
        match step {
            Step::Request(request) => self.request(*request).await,
            Step::CatchUp => self.on_snapshot(Session::advance).await,
            Step::Reset => self.on_snapshot(Session::reset).await,
            Step::Refresh => {
                self.session.refresh_token().await?;
                Ok(self)
            }
        }
    }

    async fn request(mut self, request: ListenRequest) -> Result<Self, Refusal> {
        let database = match (&self.database, request.database.as_str()) {
            (Some(database), "") => database.clone(),
            (Some(database), name) if *database == Database::parse(name)? => database.clone(),
            (Some(_), _) => return Err(Refusal::Argument("A stream is of one database.")),
            (None, name) => Database::parse(name)?,
        };
        self.database = Some(database.clone());
        match request.target_change {
            Some(TargetChange::AddTarget(target)) => self.add(database, target).await,
            Some(TargetChange::RemoveTarget(id)) => {
                self.session.remove(id).await?;
                Ok(self)
            }
            None => Err(Refusal::Argument("A Listen request adds or removes a target.")),
        }
    }

    async fn add(self, database: Database, target: Target) -> Result<Self, Refusal> {
        self.on_snapshot(move |session, snapshot| session.add(snapshot, &database, &target)).await
    }

    /// Runs a step of the session on a fresh snapshot.
    async fn on_snapshot(
        self,
        step: impl FnOnce(&mut Session, &Snapshot<'_>) -> Result<(), Refusal> + Send + 'static,
    ) -> Result<Self, Refusal> {
        let Self { mut session, store, database } = self;
        let session = store
            .read(move |snapshot| {
                step(&mut session, snapshot)?;
                Ok(session)
            })
            .await?;
        Ok(Self { session, store, database })
    }
}
