//! What is sealed is noted in the local database and sent, one pack after the other, while the job goes on.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread::{self, JoinHandle},
};

use prost::Message as _;

use crate::{
    Error, Result,
    content::{ChunkId, PackEntry},
    crypto::Sealed,
    privacy::Gate,
    vault::state::{Database, NewNote, PackRow, Run},
};

/// A sealed pack, and what is noted together with it.
pub(super) struct Shipment {
    pub(super) entry: PackEntry,
    pub(super) sealed: Sealed,
    pub(super) epoch: u32,
    pub(super) kind: String,
    pub(super) run: Run,
    pub(super) notes: Vec<NewNote>,
    pub(super) now_ms: i64,
}

impl Shipment {
    fn send(&self, gate: &Gate, database: &Database) -> Result<()> {
        let row = PackRow {
            id: self.entry.object().id(),
            length: u32::try_from(self.entry.object().length())
                .map_err(|_| Error::Internal("pack length"))?,
            epoch: self.epoch,
            kind: self.kind.clone(),
            uncommitted: self.entry.to_wire().encode_to_vec(),
        };
        let chunks = self.entry.chunks();
        database.write(|transaction| {
            Database::write_notes(transaction, &self.run, &self.notes)?;
            Database::add_pack(transaction, &row, chunks).map(drop)
        })?;
        gate.put(&self.sealed, self.now_ms)
    }

    /// What is left of it once it is sent.
    fn into_sent(self) -> Sent {
        let chunks = self.entry.chunks().map(|slot| slot.id).collect();
        Sent { chunks, memory: self.sealed.into_memory() }
    }
}

/// A pack that was sent.
pub(super) struct Sent {
    /// Its chunks, which the database knows by now.
    pub(super) chunks: Vec<ChunkId>,
    /// Its memory.
    pub(super) memory: Vec<u8>,
}

/// The way to the store: one thread of its own, or none.
pub(super) struct Shipping {
    gate: Arc<Gate>,
    database: Arc<Database>,
    hand: Option<Hand>,
    is_beside: bool,
    sent: (Sender<Sent>, Receiver<Sent>),
    failure: Arc<Mutex<Option<Error>>>,
}

struct Hand {
    shipments: SyncSender<Shipment>,
    thread: JoinHandle<()>,
}

impl Shipping {
    /// Sends from a thread of its own if `is_beside`.
    pub(super) fn new(gate: Arc<Gate>, database: Arc<Database>, is_beside: bool) -> Self {
        Self { gate, database, hand: None, is_beside, sent: channel(), failure: Arc::default() }
    }

    /// Sends a pack, or lets it be sent after those before it. An error may be that of an earlier one.
    #[expect(clippy::disallowed_methods, reason = "threads of the job, which end with it")]
    pub(super) fn send(&mut self, shipment: Shipment) -> Result<()> {
        if !self.is_beside {
            shipment.send(&self.gate, &self.database)?;
            let _ = self.sent.0.send(shipment.into_sent());
            return Ok(());
        }
        self.check()?;
        let hand = self.hand.get_or_insert_with(|| {
            let (shipments, open) = sync_channel::<Shipment>(0);
            let (gate, database) = (Arc::clone(&self.gate), Arc::clone(&self.database));
            let (sent, failure) = (self.sent.0.clone(), Arc::clone(&self.failure));
            let thread = thread::spawn(move || {
                for shipment in open {
                    if let Err(error) = shipment.send(&gate, &database) {
                        *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                        return;
                    }
                    let _ = sent.send(shipment.into_sent());
                }
            });
            Hand { shipments, thread }
        });
        match hand.shipments.send(shipment) {
            Ok(()) => Ok(()),
            Err(_) => self.finish().and(Err(Error::Internal("a worker thread stopped"))),
        }
    }

    /// Waits until all of it is in the store.
    pub(super) fn finish(&mut self) -> Result<()> {
        let stopped = Error::Internal("a worker thread stopped");
        if let Some(Hand { shipments, thread }) = self.hand.take() {
            drop(shipments);
            thread.join().map_err(|_| stopped)?;
        }
        self.check()
    }

    fn check(&self) -> Result<()> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take().map_or(Ok(()), Err)
    }

    /// What was sent since this was last asked.
    pub(super) fn newly_sent(&self) -> impl Iterator<Item = Sent> {
        self.sent.1.try_iter()
    }
}

impl Drop for Shipping {
    fn drop(&mut self) {
        let _ = self.finish();
    }
}
