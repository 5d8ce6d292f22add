//! A committer's own thread, with a scheduler of its own. Beside calls, which the other threads read and answer, a committer
//! would wait for its turn whenever a batch has landed, and everybody's next batch with it; and while it decides a large
//! batch, which takes milliseconds, nobody's calls would be read.

use std::{convert::Infallible, io, thread};

use tokio::{runtime::Builder, sync::oneshot};

/// Why work on a thread of its own has not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum ThreadError {
    /// It never began.
    #[error("the thread could not be started")]
    NotStarted(#[from] io::Error),
    /// It panicked.
    #[error("the thread panicked")]
    Panicked,
}

/// Runs work on a thread of this name until it ends. Dropping this ends the work where it waits next, and the thread.
pub async fn on_a_thread(
    name: &str,
    work: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ThreadError> {
    let (sender, ended) = oneshot::channel();
    // Lives as long as somebody waits here.
    let (_wanted, unwanted) = oneshot::channel::<Infallible>();
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build();
        let result = runtime.map(|runtime| {
            runtime.block_on(async {
                tokio::select! { () = work => {} _ = unwanted => {} }
            });
        });
        // Nobody listens any more if it was not wanted any more.
        let _ = sender.send(result);
    })?;
    Ok(ended.await.map_err(|_| ThreadError::Panicked)??)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_runs_under_the_threads_name_and_ends_with_it() {
        let (sender, named) = oneshot::channel();
        let work = async move {
            let _ = sender.send(thread::current().name().map(str::to_owned));
        };
        on_a_thread("apart", work).await.unwrap();
        assert_eq!(named.await.unwrap().as_deref(), Some("apart"));
    }

    #[tokio::test]
    async fn work_that_panics_is_told() {
        let told = on_a_thread("apart", async { panic!("of this test") }).await;
        assert!(matches!(told, Err(ThreadError::Panicked)), "{told:?}");
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_ends() {
        let (held, is_gone) = oneshot::channel::<Infallible>();
        let work = async move {
            let _held = held;
            std::future::pending::<()>().await;
        };
        let waiting = tokio::spawn(on_a_thread("apart", work));
        tokio::task::yield_now().await;
        waiting.abort();
        assert!(is_gone.await.is_err(), "dropped with the work");
    }
}
