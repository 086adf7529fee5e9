use super::*;
use proptest::prelude::*;

const EXPIRES_S: u64 = 1_795_283_426;
const NOW_S: u64 = EXPIRES_S - 60;

/// `nacos` until [`EXPIRES_S`], signed by Python's `hmac` with the bytes 0, 1, 2, … of that number.
const GOLDEN: [(u8, &str); 5] = [
    (
        32,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJuYWNvcyIsImV4cCI6MTc5NTI4MzQyNn0.\
         tH9Avg-aJ_ayFIMJ7bixPmWg-c8hK9Y51AkUGAUH3Q0",
    ),
    (
        47,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJuYWNvcyIsImV4cCI6MTc5NTI4MzQyNn0.\
         fx9R72_lXYzBuP5z4SEt1I52xrhGGDen2sjFPOqIgNg",
    ),
    (
        48,
        "eyJhbGciOiJIUzM4NCJ9.eyJzdWIiOiJuYWNvcyIsImV4cCI6MTc5NTI4MzQyNn0.\
         Zc8hrWhBl5Wn4xoxnm8GRzNNyRiYdkGrpfT4Mg7-4KDLPfhm7CTE7ZzRgreSsfcv",
    ),
    (
        63,
        "eyJhbGciOiJIUzM4NCJ9.eyJzdWIiOiJuYWNvcyIsImV4cCI6MTc5NTI4MzQyNn0.\
         r0u1GzY2i7iajHci4QCZOMB2gGCY9EJM6Z6SYvkCYm4avC7-wTZdZOEZ76Vt9Sdl",
    ),
    (
        64,
        "eyJhbGciOiJIUzUxMiJ9.eyJzdWIiOiJuYWNvcyIsImV4cCI6MTc5NTI4MzQyNn0.\
         Oo3kfD7IOnpK21HEx-5DGvgTG68wRbH9RWOIQboZGGfkL0jyRxsP3380-7vipqPuQ_NDo1aA5zKm06z-VG49hA",
    ),
];

fn signer(bytes: u8) -> Signer {
    Signer::new(&(0..bytes).collect::<Vec<u8>>()).unwrap()
}

fn encoded(json: &str) -> String {
    URL_SAFE_NO_PAD.encode(json)
}

/// A token of any header and payload, signed by us.
fn signed(signer: &Signer, header: &str, payload: &str) -> String {
    let text = format!("{}.{}", encoded(header), encoded(payload));
    let signature = URL_SAFE_NO_PAD.encode(signer.sign(text.as_bytes()));
    format!("{text}.{signature}")
}

#[test]
fn the_references_bytes() {
    for (bytes, token) in GOLDEN {
        let signer = signer(bytes);
        assert_eq!(signer.issue("nacos", EXPIRES_S), token);
        let claims = Claims { user: "nacos".to_owned(), expires_s: EXPIRES_S };
        assert_eq!(signer.verify(token, NOW_S), Ok(claims));
    }
}

/// Other issuers write `typ` and more claims.
#[test]
fn standard_tokens_of_other_issuers() {
    let token = "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.\
                 eyJleHAiOjE3OTUyODM0MjYsInN1YiI6Im5hY29zIiwiaWF0IjoxfQ.\
                 NBDHWfSYZx4UnbYPQxsvHccMPUCA202b5SWWq3Vq3MM";
    assert_eq!(signer(32).verify(token, NOW_S).unwrap().user, "nacos");
}

#[test]
fn the_last_second_counts() {
    let (bytes, token) = GOLDEN[0];
    assert!(signer(bytes).verify(token, EXPIRES_S).is_ok());
    assert_eq!(signer(bytes).verify(token, EXPIRES_S + 1), Err(Denial::Expired));
}

#[test]
fn forged_tokens() {
    let ours = signer(32);
    let payload = r#"{"sub":"nacos","exp":1795283426}"#;
    let (_, golden) = GOLDEN[0];
    let unsigned = &golden[..golden.rfind('.').unwrap() + 1];
    for (token, denial) in [
        (signed(&ours, r#"{"alg":"none"}"#, payload), Denial::Algorithm),
        (signed(&ours, r#"{"alg":"None"}"#, payload), Denial::Algorithm),
        (signed(&ours, r#"{"alg":"RS256"}"#, payload), Denial::Algorithm),
        (signed(&ours, r#"{"alg":"HS512"}"#, payload), Denial::Algorithm),
        (signed(&ours, r#"{"alg":"HS256","crit":["x"]}"#, payload), Denial::Algorithm),
        (signed(&signer(33), r#"{"alg":"HS256"}"#, payload), Denial::Invalid),
        (signed(&ours, r#"{"alg":"HS256"}"#, r#"{"sub":"nacos"}"#), Denial::Invalid),
        (signed(&ours, r#"{"alg":"HS256"}"#, r#"{"sub":"","exp":1795283426}"#), Denial::Invalid),
        (signed(&ours, r#"{"alg":"HS256"}"#, r#"{"sub":"nacos","exp":-1}"#), Denial::Invalid),
        (signed(&ours, r#"{"alg":"HS256"}"#, "[]"), Denial::Invalid),
        (unsigned.to_owned(), Denial::Invalid),
        (unsigned[..unsigned.len() - 1].to_owned(), Denial::Invalid),
        (format!("{golden}="), Denial::Invalid),
        (format!("{golden}.{golden}"), Denial::Invalid),
        (format!(" {golden}"), Denial::Algorithm),
        (golden.replace("eyJz", "eyJa"), Denial::Invalid),
        ("x".repeat(TOKEN_BYTES_MAX + 1), Denial::Invalid),
        ("AUTH_DISABLED".to_owned(), Denial::Invalid),
        ("..".to_owned(), Denial::Algorithm),
        (String::new(), Denial::Invalid),
    ] {
        assert_eq!(ours.verify(&token, NOW_S), Err(denial), "{token}");
    }
}

#[test]
fn keys_of_settings() {
    let fine = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    assert_eq!(key_of_setting(fine), Ok((0..32).collect()));
    assert_eq!(key_of_setting(fine.trim_end_matches('=')), Ok((0..32).collect()));
    for known in PUBLISHED_KEYS {
        assert!(key_of_setting(known).is_err(), "{known}");
        assert!(key_of_setting(&SETTING.encode(known)).is_err(), "{known}, encoded again");
    }
    for (text, why) in [
        ("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd", "shorter"),
        ("not base64 at all, but quite long enough for it", "not Base64"),
        ("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "the same"),
    ] {
        assert!(key_of_setting(text).unwrap_err().contains(why), "{text}");
    }
    assert!(Signer::new(&[1; 31]).is_none());
}

proptest! {
    #[test]
    fn any_text_is_refused_without_panic(token in ".{0,200}", bits in any::<[u8; 3]>()) {
        prop_assert!(signer(32).verify(&token, NOW_S).is_err());
        let parts = bits.map(|bit| encoded(&format!("{{\"alg\":\"HS256\",\"x\":{bit}}}")));
        prop_assert!(signer(32).verify(&parts.join("."), NOW_S).is_err());
    }

    #[test]
    fn one_changed_byte_is_another_token(at in 0usize..150, byte in any::<u8>()) {
        let (bytes, golden) = GOLDEN[0];
        let mut changed = golden.as_bytes().to_vec();
        let at = at % changed.len();
        prop_assume!(changed[at] != byte);
        changed[at] = byte;
        if let Ok(changed) = String::from_utf8(changed) {
            prop_assert!(signer(bytes).verify(&changed, NOW_S).is_err());
        }
    }

    #[test]
    fn whoever_is_issued_one_is_known_by_it(user in "\\PC{1,50}") {
        prop_assume!(!user.trim().is_empty());
        let token = signer(64).issue(&user, EXPIRES_S);
        prop_assert_eq!(signer(64).verify(&token, NOW_S).unwrap().user, user);
    }
}
