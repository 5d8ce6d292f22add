//! The operator's token, read again when the file changes: the kubelet replaces it before it expires.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::Interceptor,
};

/// Adds the token to every call. Clones share what was read.
#[derive(Clone, Debug)]
pub struct Token {
    path: Arc<PathBuf>,
    read: Arc<Mutex<Option<Read>>>,
}

#[derive(Clone, Debug)]
struct Read {
    changed: SystemTime,
    value: MetadataValue<Ascii>,
}

impl Token {
    /// The token in this file, which may appear later.
    pub fn new(path: PathBuf) -> Self {
        Self { path: Arc::new(path), read: Arc::default() }
    }

    fn current(&self) -> Result<MetadataValue<Ascii>, Status> {
        let changed = std::fs::metadata(&*self.path)
            .and_then(|file| file.modified())
            .map_err(|_| Status::unavailable("the operator's token file is missing"))?;
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = read.as_ref().filter(|known| known.changed == changed) {
            return Ok(known.value.clone());
        }
        let value = self.load()?;
        *read = Some(Read { changed, value: value.clone() });
        Ok(value)
    }

    fn load(&self) -> Result<MetadataValue<Ascii>, Status> {
        let token = std::fs::read_to_string(&*self.path)
            .map_err(|_| Status::unavailable("the operator's token file cannot be read"))?;
        let mut value: MetadataValue<Ascii> = format!("Bearer {}", token.trim())
            .parse()
            .map_err(|_| Status::unavailable("the operator's token file holds no token"))?;
        // Keeps it out of every debug output of the request.
        value.set_sensitive(true);
        Ok(value)
    }
}

impl Interceptor for Token {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.current()?);
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::*;

    #[test]
    fn a_replaced_token_is_used_from_the_next_call_on_and_never_printed() {
        let path = std::env::temp_dir().join(format!("payplane-token-{}", std::process::id()));
        fs::write(&path, "first\n").unwrap();
        let token = Token::new(path.clone());
        assert_eq!(token.current().unwrap().to_str().unwrap(), "Bearer first");
        fs::write(&path, "second\n").unwrap();
        let later = SystemTime::now() + Duration::from_secs(5);
        fs::File::options().write(true).open(&path).unwrap().set_modified(later).unwrap();
        assert_eq!(token.current().unwrap().to_str().unwrap(), "Bearer second");
        assert!(!format!("{token:?}").contains("second"));
        fs::remove_file(&path).unwrap();
        assert_eq!(token.current().unwrap_err().code(), tonic::Code::Unavailable);
    }
}
