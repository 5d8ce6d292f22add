//! A tenant's export as a stream. A snapshot of the database is held as long as it runs, so there is one at a time, it ends
//! with the age of a stream, and it goes no further ahead of its reader than a few chunks.

use payplane_ledger::TenantId;
use payplane_proto::v1 as proto;
use tokio::{sync::mpsc, time::Instant};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{Api, status};
use crate::export::{CHUNKS, Whose, export};

type Answer = Result<proto::ExportTenantResponse, Status>;

impl Api {
    /// Begins an export. It ends with its reader.
    pub(super) fn export(&self, tenant: TenantId) -> Result<ReceiverStream<Answer>, Status> {
        let place = self.exporting.clone().try_acquire_owned();
        let place = place.map_err(|_| status::already_exporting())?;
        let (sender, answers) = mpsc::channel(1);
        let api = self.clone();
        tokio::spawn(async move {
            let failed = tokio::select! {
                failed = api.exported(tenant, &sender) => failed,
                end = api.stream_end(Instant::now()) => Some(end),
            };
            drop(place);
            if let Some(failed) = failed {
                let _ = sender.send(Err(failed)).await;
            }
        });
        Ok(ReceiverStream::new(answers))
    }

    /// Exports all of it. Why not, if that failed.
    async fn exported(&self, tenant: TenantId, sender: &mpsc::Sender<Answer>) -> Option<Status> {
        let (chunks, mut waiting) = mpsc::channel(CHUNKS);
        let forward = async move {
            while let Some(data) = waiting.recv().await {
                if sender.send(Ok(proto::ExportTenantResponse { data })).await.is_err() {
                    return;
                }
            }
        };
        let whose = Whose::Id(tenant);
        let (done, ()) = tokio::join!(export(&self.engine.store, &whose, chunks), forward);
        done.err().filter(|_| !sender.is_closed()).map(|error| status::of_export(&error))
    }
}
