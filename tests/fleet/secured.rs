//! Fleet tests of a secured Redis: TLS, and a user with only the rights that a gateway needs.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::support::{Gateway, Origin, PORT, Redis, config};

/// Writes the certificate of a test authority, and a certificate and key for this machine.
fn write_certificates(directory: &Path) {
    let write = |name: &str, pem: String| std::fs::write(directory.join(name), pem).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    write("ca.pem", params.self_signed(&key).unwrap().pem());
    let (authority, key) = (Issuer::new(params, key), KeyPair::generate().unwrap());
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    write("cert.pem", params.signed_by(&key, &authority).unwrap().pem());
    write("key.pem", key.serialize_pem());
}

#[tokio::test]
async fn a_fleet_meets_over_tls_as_a_user_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    write_certificates(directory.path());
    let user = "fleet on >canary ~ikgate:* +@all -@dangerous +info";
    let mut arguments = vec!["--tls-port", PORT, "--tls-auth-clients", "no"];
    for (option, file) in [
        ("--tls-ca-cert-file", "ca.pem"),
        ("--tls-cert-file", "cert.pem"),
        ("--tls-key-file", "key.pem"),
    ] {
        arguments.extend([option, file]);
    }
    arguments.push("--user");
    arguments.extend(user.split(' '));
    let redis = Redis::start(directory.path(), &arguments).await;
    let origin = Origin::start().await;
    let url = format!("rediss://fleet:canary@127.0.0.1:{}", redis.port());
    let config = config(origin.address, &url, "");
    let roots = directory.path().join("ca.pem");
    let trusting = [("SSL_CERT_FILE", roots.to_str().unwrap())];
    let one = Gateway::start(directory.path(), "one", &config, &trusting).await;
    let other = Gateway::start(directory.path(), "other", &config, &trusting).await;
    for gateway in [&one, &other] {
        gateway.is_connected().await;
        assert_eq!(gateway.version("a").await, 1);
    }
    let version = origin.raise("a");
    one.purges("/api/cache/a").await;
    other.answers_with("a", version).await;

    let wary = Gateway::start(directory.path(), "wary", &config, &[]).await;
    wary.is_cut_off().await;
    wary.logs("the fleet's Redis cannot be used").await;
}
