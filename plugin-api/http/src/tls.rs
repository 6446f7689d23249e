//! Whom a connection trusts: the public roots, or those of a file.

use std::error::Error as StdError;
use std::io;
use std::path::Path;
use std::sync::Arc;

use gantry_plugin_api::Error;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// What a connection needs that trusts the public roots, or instead of them the certificates of a
/// file (PEM): the operator's key is `tls_ca`.
///
/// # Errors
/// Of class `config`, field `tls_ca`, if the file cannot be used.
pub async fn trust(ca: Option<&Path>) -> Result<ClientConfig, Error> {
    let roots = match ca {
        None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        Some(path) => read(path).await?,
    };
    // The provider is named here: a process-wide one is not the library's to install.
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("invariant: ring offers the versions of TLS that are safe");
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// Connects with and without TLS.
pub(crate) async fn connector(ca: Option<&Path>) -> Result<HttpsConnector<HttpConnector>, Error> {
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_nodelay(true);
    let https = HttpsConnectorBuilder::new().with_tls_config(trust(ca).await?);
    Ok(https.https_or_http().enable_http1().wrap_connector(http))
}

/// Whether a connection failed for the server's certificate.
pub(crate) fn is_untrusted(error: &(dyn StdError + 'static)) -> bool {
    let mut chain = std::iter::successors(Some(error), |error| wrapped(*error));
    chain.any(|error| matches!(error.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))))
}

/// The error beneath. An error of the system's hides what it wraps from the chain of sources.
fn wrapped<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e (dyn StdError + 'static)> {
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => error.source(),
    }
}

async fn read(path: &Path) -> Result<RootCertStore, Error> {
    let wrong = |message: String| Error::config("tls_ca", message);
    let shown = path.display();
    let pem = tokio::fs::read(path)
        .await
        .map_err(|error| wrong(format!("cannot read `{shown}`")).because(&error))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let added = certificate
            .map_err(|error| wrong(format!("cannot read `{shown}` as PEM")).because(&error))
            .map(|certificate| roots.add(certificate))?;
        added.map_err(|error| {
            wrong(format!("cannot trust a certificate in `{shown}`")).because(&error)
        })?;
    }
    if roots.is_empty() {
        return Err(wrong(format!("no certificate in `{shown}`: it holds them as PEM")));
    }
    Ok(roots)
}
