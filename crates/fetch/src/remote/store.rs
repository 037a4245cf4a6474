//! A shared cache in an object store: S3, Google Cloud Storage, Azure, plain HTTP, or a folder.
//!
//! The objects lie below the URL's path as the files of a [`Cache`](crate::Cache) do:
//! `v1/sha256/ab/abcd…`. So the folder of a cache, served over HTTP or copied into a bucket, is a
//! shared cache that is only read.
//!
//! The stores' clients are futures. Each call waits for its own to its end: to everybody else they
//! are functions.

use std::ffi::OsString;
use std::fmt;
use std::future::Future;
use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::ClientOptions;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, ObjectStoreScheme, PutPayload, RetryConfig};
use prebake_apk::digest::Sha256;
use tokio::runtime::{Builder, Runtime};

use super::exchange::Connector;
use super::{Remote, RemoteError, bounds, variables};
use crate::error::chain;
use crate::transport::Http;
use crate::{Options, Proxies, url};

/// Up to this size, in bytes, a file is sent in one piece, which every store takes. It is held in
/// memory for that, one file at a time.
const ONE_PIECE: u64 = 32 << 20;

/// The pieces that larger files are sent in, in bytes. S3 takes none below 5 MiB but the last.
const PIECE: usize = 8 << 20;

/// A shared cache in an object store.
pub struct ObjectCache {
    store: Arc<dyn ObjectStore>,
    folder: Path,
    http: Arc<Http>,
    name: String,
    /// The user name and password in the URL, with their `@`, which no message shows.
    secret: Option<String>,
    writes: bool,
    /// Whether it is a folder of this host.
    is_local: bool,
}

impl fmt::Debug for ObjectCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObjectCache")
            .field("name", &self.name)
            .field("writes", &self.writes)
            .finish_non_exhaustive()
    }
}

impl ObjectCache {
    /// Takes the store at `url`: `s3://bucket/path`, `gs://bucket/path`, `az://container/path`,
    /// `http://…`, `https://…` or `file:///folder`. `writes` says whether it is given what is
    /// downloaded from elsewhere; `environment` is asked for the store's own variables. Nothing is
    /// connected yet.
    ///
    /// # Errors
    ///
    /// [`RemoteError::Url`] if the URL is none of these, or a variable has a value that the store
    /// does not take.
    pub fn new(
        url: &str,
        writes: bool,
        options: &Options,
        proxies: &Proxies,
        environment: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self, RemoteError> {
        let name = url::redact(url.split(['?', '#']).next().unwrap_or(url));
        let wrong = |why: String| RemoteError::Url {
            url: name.clone(),
            why,
        };
        let secret = secret(url);
        let hide = |text: String| hidden(text, secret.as_deref());
        let http = Http::new(&bounds(options), proxies).map_err(|error| wrong(chain(&error)))?;
        let http = Arc::new(http);
        let (store, folder) =
            open(url, &http, environment).map_err(|error| wrong(hide(chain(&*error))))?;
        Ok(Self {
            store,
            folder,
            http,
            name,
            secret,
            writes,
            is_local: url::scheme(url).is_some_and(|scheme| scheme.eq_ignore_ascii_case("file")),
        })
    }

    fn path(&self, sha256: &Sha256) -> Path {
        let name = sha256.to_string();
        let start = name.get(..2).unwrap_or_default().to_owned();
        let mut path = self.folder.clone();
        for part in ["v1", "sha256", &start, &name] {
            path = path.join(part);
        }
        path
    }

    /// Fails where a folder has a pipe or a device in a file's place: to open one waits for ever.
    fn check_kind(&self, path: &Path) -> Result<(), RemoteError> {
        if !self.is_local {
            return Ok(());
        }
        let host = LocalFileSystem::new().path_to_filesystem(path);
        let host = host.map_err(|error| self.failed(error))?;
        if fs_err::metadata(&host).is_ok_and(|found| !found.is_file()) {
            let why = format!("`{}` is not a regular file", host.display());
            return Err(RemoteError::Failed(why));
        }
        Ok(())
    }

    fn failed(&self, error: object_store::Error) -> RemoteError {
        RemoteError::Failed(hidden(chain(&error), self.secret.as_deref()))
    }
}

type Opened = (Arc<dyn ObjectStore>, Path);

fn open(
    url: &str,
    http: &Arc<Http>,
    environment: &dyn Fn(&str) -> Option<OsString>,
) -> Result<Opened, Box<dyn std::error::Error>> {
    let parsed = url.parse()?;
    let known = ObjectStoreScheme::parse(&parsed);
    let (scheme, folder) = known.map_err(
        |_| "it begins with none of `s3://`, `gs://`, `az://`, `https://`, `http://` and `file://`",
    )?;
    let connector = Connector(Arc::clone(http));
    // One failure is enough to go to the mirrors.
    let retry = RetryConfig {
        max_retries: 0,
        ..RetryConfig::default()
    };
    let set = |names: &[&'static str]| {
        let values = names.iter().filter_map(|name| {
            let value = environment(name)?.into_string().ok()?;
            Some((name.to_ascii_lowercase(), value)).filter(|(_, value)| !value.is_empty())
        });
        values.collect::<Vec<_>>()
    };
    let store: Arc<dyn ObjectStore> = match scheme {
        ObjectStoreScheme::Local => Arc::new(LocalFileSystem::new()),
        ObjectStoreScheme::AmazonS3 => {
            let mut builder = AmazonS3Builder::new().with_url(url);
            for (name, value) in set(variables::AWS) {
                builder = builder.with_config(name.parse()?, value);
            }
            let builder = builder.with_retry(retry).with_http_connector(connector);
            Arc::new(builder.build()?)
        }
        ObjectStoreScheme::GoogleCloudStorage => {
            let mut builder = GoogleCloudStorageBuilder::new().with_url(url);
            for (name, value) in set(variables::GOOGLE) {
                builder = builder.with_config(name.parse()?, value);
            }
            let builder = builder.with_retry(retry).with_http_connector(connector);
            Arc::new(builder.build()?)
        }
        ObjectStoreScheme::MicrosoftAzure => {
            let mut builder = MicrosoftAzureBuilder::new().with_url(url);
            for (name, value) in set(variables::AZURE) {
                builder = builder.with_config(name.parse()?, value);
            }
            let builder = builder.with_retry(retry).with_http_connector(connector);
            Arc::new(builder.build()?)
        }
        ObjectStoreScheme::Http => {
            let root = url.find("://").map_or(0, |at| at + 3);
            let end = url.get(root..).and_then(|rest| rest.find(['/', '?', '#']));
            let root = end.map_or(url, |end| url.get(..root + end).unwrap_or(url));
            // Who writes `http://` wants it.
            let plain = url::scheme(url).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http"));
            let options = ClientOptions::new().with_allow_http(plain);
            let builder = HttpBuilder::new()
                .with_url(root)
                .with_client_options(options);
            let builder = builder.with_retry(retry).with_http_connector(connector);
            Arc::new(builder.build()?)
        }
        _ => return Err("stores of its kind are not known".into()),
    };
    Ok((store, folder))
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_time().build()
}

/// Waits for a future.
fn wait<T>(future: impl Future<Output = object_store::Result<T>>) -> object_store::Result<T> {
    let runtime = runtime().map_err(|error| object_store::Error::Generic {
        store: "runtime",
        source: Box::new(error),
    })?;
    runtime.block_on(future)
}

/// Returns the user name and password of a URL, with their `@`.
fn secret(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let host = rest.split(['/', '?', '#']).next()?;
    let at = host.rfind('@')?;
    host.get(..=at).map(str::to_owned)
}

/// Takes a secret out of a message.
fn hidden(text: String, secret: Option<&str>) -> String {
    match secret {
        Some(secret) => text.replace(secret, ""),
        None => text,
    }
}

impl Remote for ObjectCache {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn get(&self, sha256: &Sha256) -> Result<Option<Box<dyn Read>>, RemoteError> {
        let path = self.path(sha256);
        self.check_kind(&path)?;
        match wait(self.store.get(&path)) {
            Ok(found) => {
                let runtime = runtime().map_err(|error| RemoteError::Failed(chain(&error)))?;
                Ok(Some(Box::new(Content {
                    runtime,
                    stream: found.into_stream(),
                    rest: Bytes::new(),
                    secret: self.secret.clone(),
                })))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn takes(&self) -> bool {
        self.writes
    }

    fn put(&self, sha256: &Sha256, size: u64, content: &mut dyn Read) -> Result<(), RemoteError> {
        let path = self.path(sha256);
        let unread = |error: io::Error| RemoteError::Failed(chain(&error));
        if size <= ONE_PIECE {
            let mut bytes = Vec::with_capacity(size as usize);
            content.take(size).read_to_end(&mut bytes).map_err(unread)?;
            wait(self.store.put(&path, PutPayload::from(bytes)))
                .map_err(|error| self.failed(error))?;
            return Ok(());
        }
        let mut upload =
            wait(self.store.put_multipart(&path)).map_err(|error| self.failed(error))?;
        loop {
            let mut piece = Vec::with_capacity(PIECE);
            let read = content.take(PIECE as u64).read_to_end(&mut piece);
            let sent = match read {
                Ok(0) => break,
                Ok(_) => wait(upload.put_part(piece.into())).map_err(|error| self.failed(error)),
                Err(error) => Err(unread(error)),
            };
            if let Err(error) = sent {
                // What was sent of it is paid for until it is taken away.
                drop(wait(upload.abort()));
                return Err(error);
            }
        }
        wait(upload.complete()).map_err(|error| self.failed(error))?;
        Ok(())
    }

    fn interrupt(&self) {
        self.http.interrupt();
    }
}

/// What an object holds, as it comes.
struct Content {
    runtime: Runtime,
    stream: BoxStream<'static, object_store::Result<Bytes>>,
    rest: Bytes,
    secret: Option<String>,
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() {
            match self.runtime.block_on(self.stream.next()) {
                None => return Ok(0),
                Some(Ok(bytes)) => self.rest = bytes,
                Some(Err(error)) => {
                    let told = hidden(chain(&error), self.secret.as_deref());
                    return Err(io::Error::other(told));
                }
            }
        }
        let count = self.rest.len().min(buffer.len());
        self.rest
            .copy_to_slice(buffer.get_mut(..count).unwrap_or_default());
        Ok(count)
    }
}
