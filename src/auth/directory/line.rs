//! What the directory is spoken to over: TCP, or TLS on it.
//!
//! Over TLS nothing of a login leaves before the directory has shown a certificate for the host of
//! the setting, by an authority that is trusted (RFC 4513 3.1.3, RFC 6125). No setting turns that
//! off: whoever runs an authority of his own names its file.

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::fmt;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

/// The authorities that may vouch for a directory; cheap to clone.
#[derive(Clone)]
pub struct Trust(Arc<ClientConfig>);

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trust")
    }
}

impl PartialEq for Trust {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Trust {}

impl Trust {
    /// The authorities whose certificates are in a PEM file.
    ///
    /// # Errors
    /// What is wrong with it, in a few words.
    pub fn of_file(pem: &[u8]) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|error| error.to_string())?;
            roots.add(certificate).map_err(|error| error.to_string())?;
        }
        Self::of(roots)
    }

    /// The authorities this machine trusts.
    ///
    /// # Errors
    /// It trusts none that can be read.
    pub fn of_machine() -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        // Machines carry a few certificates that no longer parse; they vouch for nothing then.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        Self::of(roots)
    }

    fn of(roots: RootCertStore) -> Result<Self, String> {
        if roots.is_empty() {
            return Err("there is no certificate of an authority".to_owned());
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self(Arc::new(config)))
    }

    /// TLS on a connection to `host`. The handshake happens with the first message.
    pub(super) fn line(&self, host: &str, stream: TcpStream) -> io::Result<Line> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let ends = ClientConnection::new(self.0.clone(), name).map_err(io::Error::other)?;
        Ok(Line::Sealed(Box::new(StreamOwned::new(ends, stream))))
    }
}

/// One connection's bytes. Timeouts are the socket's.
pub(super) enum Line {
    Plain(TcpStream),
    Sealed(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Line {
    /// Says that nothing follows; whether it arrives matters to nobody.
    pub(super) fn close(&mut self) {
        if let Line::Sealed(sealed) = self {
            sealed.conn.send_close_notify();
            let _ = sealed.conn.write_tls(&mut sealed.sock);
        }
    }
}

impl Read for Line {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Line::Plain(stream) => stream.read(bytes),
            Line::Sealed(sealed) => sealed.read(bytes),
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Line::Plain(stream) => stream.write(bytes),
            Line::Sealed(sealed) => sealed.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Line::Plain(stream) => stream.flush(),
            Line::Sealed(sealed) => sealed.flush(),
        }
    }
}
