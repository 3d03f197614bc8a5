//! Tests of webhook signatures, against deliveries signed by other implementations.

use http::HeaderValue;
use proptest::prelude::*;

use super::*;

const SECRET: &str = "whsec_xeO2UNkfKMQnfJf7Q/Qx+fYptL1wabXd";
const TOLERANCE: Duration = Duration::from_mins(5);

fn secret(text: &str) -> SigningSecret {
    SigningSecret::new(Secret::new(text.to_owned()))
}

fn at_millis(millis: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis)
}

fn fields(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut fields = HeaderMap::new();
    for (name, value) in pairs {
        fields.append(*name, HeaderValue::from_str(value).unwrap());
    }
    fields
}

fn legacy(value: &str, body: &str, now: u64) -> Result<(), SignatureFault> {
    let secret = secret("whsec_test_super_secret");
    secret.verify(&fields(&[(LEGACY, value)]), body.as_bytes(), at_millis(now), TOLERANCE)
}

/// Inputs of the tests of the official n8n node.
const LEGACY_BODY: &str = r#"{"id":"evt_1","type":"file.created","data":{"fileId":"abc"}}"#;
const LEGACY_MAC: &str = "3d1aa2c6b55d9767a6838a9108ecd85d3e4bd2376efa9e183542037ccdb10cb5";
const LEGACY_TIME: u64 = 1_700_000_000_000;

#[test]
fn the_legacy_scheme_is_valid_in_any_order_and_with_other_parts() {
    for value in [
        format!("t={LEGACY_TIME},v1={LEGACY_MAC}"),
        format!("v1={LEGACY_MAC},t={LEGACY_TIME}"),
        format!("v0=1, t={LEGACY_TIME} , v1={LEGACY_MAC},v2=x"),
        format!("t={LEGACY_TIME},v1={}", LEGACY_MAC.to_uppercase()),
    ] {
        assert_eq!(legacy(&value, LEGACY_BODY, LEGACY_TIME), Ok(()), "{value}");
    }
}

/// Delivery published by ImageKit with its Node SDK 6.0.0: secret, body and signature.
#[test]
fn a_published_delivery_is_valid_and_a_changed_one_is_not() {
    let body = concat!(
        r#"{"type":"video.transformation.accepted","id":"58e6d24d-6098-4319-be8d-40c3cb0a40"#,
        r#"2d","created_at":"2022-06-20T11:59:58.461Z","request":{"x_request_id":"fa98fa2e-"#,
        r#"d6cd-45b4-acf5-bc1d2bbb8ba9","url":"http://ik.imagekit.io/demo/sample-video.mp4?"#,
        r#"tr=f-webm,q-10","user_agent":"Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:1"#,
        r#"01.0) Gecko/20100101 Firefox/101.0"},"data":{"asset":{"url":"http://ik.imagekit."#,
        r#"io/demo/sample-video.mp4"},"transformation":{"type":"video-transformation","opti"#,
        r#"ons":{"video_codec":"vp9","audio_codec":"opus","auto_rotate":true,"quality":10,""#,
        r#"format":"webm"}}}}"#,
    );
    let (time, signature) =
        (1_655_788_406_333, "d30758f47fcb31e1fa0109d3b3e2a6c623e699aaf1461cba6bd462ef58ea4b31");
    let verify = |secret: &SigningSecret, time: u64, body: &str| {
        let fields = fields(&[(LEGACY, &format!("t={time},v1={signature}"))]);
        secret.verify(&fields, body.as_bytes(), at_millis(time), TOLERANCE)
    };
    assert_eq!(verify(&secret(SECRET), time, body), Ok(()));
    let incorrect = Err(SignatureFault::Incorrect);
    assert_eq!(verify(&secret(SECRET), time + 1, body), incorrect);
    assert_eq!(verify(&secret(SECRET), time, &body.replace("vp9", "vp8")), incorrect);
    assert_eq!(verify(&secret("A different secret"), time, body), incorrect);
}

#[test]
fn a_wrong_signature_is_refused_with_its_reason() {
    use SignatureFault::{Incorrect, Malformed, Missing};
    let table = [
        (format!("t={},v1={LEGACY_MAC}", LEGACY_TIME + 1), Incorrect),
        (format!("t={LEGACY_TIME},v1=0{}", &LEGACY_MAC[1..]), Incorrect),
        (format!("t={LEGACY_TIME},v1={}", &LEGACY_MAC[1..]), Incorrect),
        (format!("t={LEGACY_TIME},v1="), Incorrect),
        (format!("v1={LEGACY_MAC}"), Malformed),
        (format!("t={LEGACY_TIME}"), Malformed),
        (format!("t=notANumber,v1={LEGACY_MAC}"), Malformed),
        (format!("t=,v1={LEGACY_MAC}"), Malformed),
        (format!("t=+{LEGACY_TIME},v1={LEGACY_MAC}"), Malformed),
        (format!("t=99999999999999999999,v1={LEGACY_MAC}"), Malformed),
        (String::new(), Malformed),
    ];
    for (value, fault) in table {
        assert_eq!(legacy(&value, LEGACY_BODY, LEGACY_TIME), Err(fault), "{value}");
    }
    let value = format!("t={LEGACY_TIME},v1={LEGACY_MAC}");
    assert_eq!(legacy(&value, &format!("{LEGACY_BODY} "), LEGACY_TIME), Err(Incorrect));
    let now = at_millis(LEGACY_TIME);
    let other = secret("whsec_other");
    let verify = |fields| other.verify(&fields, LEGACY_BODY.as_bytes(), now, TOLERANCE);
    assert_eq!(verify(fields(&[(LEGACY, &value)])), Err(Incorrect));
    assert_eq!(verify(fields(&[])), Err(Missing));
    assert_eq!(verify(fields(&[(LEGACY, &value), (LEGACY, &value)])), Err(Malformed));
}

#[test]
fn a_time_is_valid_within_the_tolerance_on_both_sides() {
    let value = format!("t={LEGACY_TIME},v1={LEGACY_MAC}");
    for offset in [0, 299_999, 300_000] {
        assert_eq!(legacy(&value, LEGACY_BODY, LEGACY_TIME - offset), Ok(()), "{offset}");
        assert_eq!(legacy(&value, LEGACY_BODY, LEGACY_TIME + offset), Ok(()), "{offset}");
    }
    let far = Err(SignatureFault::OutOfTolerance);
    assert_eq!(legacy(&value, LEGACY_BODY, LEGACY_TIME - 300_001), far);
    assert_eq!(legacy(&value, LEGACY_BODY, LEGACY_TIME + 300_001), far);
}

/// Events, each with its signature by the whole secret and by the standard's key.
const STANDARD_VECTORS: [(&str, &str, &str); 3] = [
    (
        r#"{"id":"evt_3","type":"file.deleted","created_at":"2023-11-14T22:13:20.000Z","data":{"fileId":"64a1b2c3d4e5f60718293a4b"}}"#,
        "v1,IJjrTzssApusAo89N1NS3uFZlWoj9Z2EiXvPC+jhu4A=",
        "v1,ktbYnXTXcmKBXhFSF1O//qwplZDsBfLTal1dJ3F5+Hg=",
    ),
    (
        r#"{"id":"evt_2","type":"file-version.deleted","created_at":"2023-11-14T22:13:20.000Z","data":{"fileId":"64a1b2c3d4e5f60718293a4b","versionId":"64a1b2c3d4e5f60718293a4c"}}"#,
        "v1,/mt0Gk3UTjEDwFwZ/YwIEENAmVDiJ0adRuHNoqhtthA=",
        "v1,FR4FFBX5N52qlAIo0GovFhSrVvutiyYP2RDFTGlgkZQ=",
    ),
    (
        r#"{"id":"evt_1","type":"file-version.created","created_at":"2023-11-14T22:13:20.000Z","data":{"type":"file-version","fileId":"64a1b2c3d4e5f60718293a4b","name":"sample.jpg","versionInfo":{"id":"64a1b2c3d4e5f60718293a4c","name":"Version 1"}}}"#,
        "v1,r5RoZrofaG87c2+JswZ3aRCMrY2moic4iFRjCYj0hPo=",
        "v1,hqN0e/abK95g1ZQmbjoWvCKwtIy3mDBCjLnW7xW64F8=",
    ),
];
const STANDARD_TIME: u64 = 1_700_000_000;

fn standard(id: &str, time: &str, signature: &str, body: &str) -> Result<(), SignatureFault> {
    let fields = fields(&[(STANDARD_ID, id), (STANDARD_TIMESTAMP, time), (STANDARD, signature)]);
    secret(SECRET).verify(&fields, body.as_bytes(), at_millis(STANDARD_TIME * 1000), TOLERANCE)
}

#[test]
fn the_standard_scheme_is_valid_with_either_key() {
    let time = STANDARD_TIME.to_string();
    for (body, whole, decoded) in STANDARD_VECTORS {
        for signature in [
            whole.to_owned(),
            decoded.to_owned(),
            format!("v1,AAAA v1a,xx {whole}"),
            format!("v2,x {decoded} v1,"),
        ] {
            assert_eq!(standard("msg_gw_0001", &time, &signature, body), Ok(()), "{signature}");
        }
        let incorrect = Err(SignatureFault::Incorrect);
        assert_eq!(standard("msg_gw_0002", &time, whole, body), incorrect);
        assert_eq!(standard("msg_gw_0001", "1700000001", whole, body), incorrect);
        assert_eq!(standard("msg_gw_0001", &time, &whole[3..], body), incorrect);
        assert_eq!(standard("msg_gw_0001", &time, "", body), incorrect);
        let malformed = Err(SignatureFault::Malformed);
        assert_eq!(standard("msg_gw_0001", "soon", whole, body), malformed);
        let late = (STANDARD_TIME + 301).to_string();
        let far = Err(SignatureFault::OutOfTolerance);
        assert_eq!(standard("msg_gw_0001", &late, whole, body), far);
    }
}

#[test]
fn one_valid_scheme_is_enough() {
    let secret = secret(SECRET);
    let (now, body) = (at_millis(STANDARD_TIME * 1000), b"{}");
    let good = secret.sign_legacy(now, body);
    let (time, signature) = secret.sign_standard("msg_1", now, body);
    let both = |legacy: &str, standard: &str| {
        let fields = fields(&[
            (LEGACY, legacy),
            (STANDARD_ID, "msg_1"),
            (STANDARD_TIMESTAMP, &time),
            (STANDARD, standard),
        ]);
        secret.verify(&fields, body, now, TOLERANCE)
    };
    assert_eq!(both(&good, &signature), Ok(()));
    assert_eq!(both(&good, "v1,x"), Ok(()));
    assert_eq!(both("t=1", &signature), Ok(()));
    assert_eq!(both("t=1", "v1,x"), Err(SignatureFault::Incorrect));
}

proptest! {
    #[test]
    fn any_fields_are_verified_without_panic(
        legacy in "[ -~]{0,80}",
        standard in "[ -~]{0,80}",
        time in "[0-9 x]{0,25}",
    ) {
        let fields = fields(&[
            (LEGACY, &legacy),
            (STANDARD_ID, "a"),
            (STANDARD_TIMESTAMP, &time),
            (STANDARD, &standard),
        ]);
        let verified = secret(SECRET).verify(&fields, b"{}", at_millis(0), TOLERANCE);
        prop_assert!(verified.is_err());
    }

    #[test]
    fn a_signed_delivery_is_valid(body: Vec<u8>, id in "[!-~]{1,20}", millis in 0..u64::MAX / 2) {
        let (secret, now) = (secret(SECRET), at_millis(millis));
        let legacy = secret.sign_legacy(now, &body);
        let legacy = fields(&[(LEGACY, &legacy)]);
        prop_assert_eq!(secret.verify(&legacy, &body, now, TOLERANCE), Ok(()));
        let (time, signature) = secret.sign_standard(&id, now, &body);
        let standard =
            fields(&[(STANDARD_ID, &id), (STANDARD_TIMESTAMP, &time), (STANDARD, &signature)]);
        prop_assert_eq!(secret.verify(&standard, &body, now, TOLERANCE), Ok(()));
    }
}
