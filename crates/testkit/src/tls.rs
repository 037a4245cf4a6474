//! A certificate authority made on the spot, so that HTTPS is tested with real handshakes.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// A self-made certificate authority. Nobody trusts it unless told to, as by pointing
/// `SSL_CERT_FILE` at [`Authority::pem`].
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// Makes a new authority with a fresh key.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names to refuse");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "prebake testkit authority");
        let key = KeyPair::generate().expect("ring makes keys");
        let issuer =
            CertifiedIssuer::self_signed(params, key).expect("its own key signs the authority");
        Self { issuer }
    }

    /// Returns the authority's certificate in PEM form.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Makes a server's TLS settings with a certificate for `names` (host names or IP
    /// addresses) that this authority signed.
    pub fn server_config(&self, names: &[&str]) -> Arc<ServerConfig> {
        self.signed(params(names))
    }

    /// Makes the same with a certificate whose time is over.
    pub fn expired_config(&self, names: &[&str]) -> Arc<ServerConfig> {
        let mut params = params(names);
        params.not_before = rcgen::date_time_ymd(2001, 1, 1);
        params.not_after = rcgen::date_time_ymd(2002, 1, 1);
        self.signed(params)
    }

    fn signed(&self, params: CertificateParams) -> Arc<ServerConfig> {
        let key = KeyPair::generate().expect("ring makes keys");
        let certificate = params
            .signed_by(&key, &self.issuer)
            .expect("the authority's key signs");
        server_config(&certificate, &key)
    }
}

/// Makes a server's TLS settings with a certificate for `names` that nobody but itself signed.
pub fn self_signed_config(names: &[&str]) -> Arc<ServerConfig> {
    let key = KeyPair::generate().expect("ring makes keys");
    let certificate = params(names)
        .self_signed(&key)
        .expect("its own key signs the certificate");
    server_config(&certificate, &key)
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    CertificateParams::new(names).expect("plain host names")
}

fn server_config(certificate: &Certificate, key: &KeyPair) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring offers the default versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("the key belongs to the certificate");
    Arc::new(config)
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}
