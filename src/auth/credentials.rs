//! What a request says about who sends it (`auth.md` 2.1, 2.2).

/// The names credentials have, case ignored, in headers of both wires and in parameters.
pub const AUTHORIZATION: &str = "Authorization";
pub const ACCESS_TOKEN: &str = "accessToken";
pub const USERNAME: &str = "username";
pub const PASSWORD: &str = "password";

/// What stands before a token in `Authorization`.
const BEARER: &str = "Bearer ";

/// What was found. Blank is absent.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Credentials<'a> {
    bearer: Option<&'a str>,
    token: Option<&'a str>,
    pub username: Option<&'a str>,
    pub password: Option<&'a str>,
}

impl std::fmt::Debug for Credentials<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("token", &self.token().is_some())
            .field("username", &self.username)
            .field("password", &self.password.is_some())
            .finish()
    }
}

impl<'a> Credentials<'a> {
    /// Takes in one header or parameter; those of other names are passed over. A later one wins.
    pub fn add(&mut self, name: &str, value: &'a str) {
        // One comparison of lengths rules almost every header out.
        let place = match name.len() {
            13 if name.eq_ignore_ascii_case(AUTHORIZATION) => {
                self.bearer = bearer(value);
                return;
            }
            11 if name.eq_ignore_ascii_case(ACCESS_TOKEN) => &mut self.token,
            8 if name.eq_ignore_ascii_case(USERNAME) => &mut self.username,
            8 if name.eq_ignore_ascii_case(PASSWORD) => &mut self.password,
            _ => return,
        };
        // Almost always the first byte says that it is not blank.
        let plain = value.as_bytes().first().is_some_and(u8::is_ascii_graphic);
        if plain || !value.trim().is_empty() {
            *place = Some(value);
        }
    }

    /// The token: `Authorization` before `accessToken`.
    pub fn token(&self) -> Option<&'a str> {
        self.bearer.or(self.token)
    }
}

fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_at_checked(BEARER.len())?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case(BEARER) && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &'static str)]) -> Credentials<'static> {
        let mut credentials = Credentials::default();
        for (name, value) in pairs {
            credentials.add(name, value);
        }
        credentials
    }

    #[test]
    fn every_place_a_token_may_be_in() {
        assert_eq!(of(&[("accessToken", "t")]).token(), Some("t"));
        assert_eq!(of(&[("ACCESSTOKEN", "t")]).token(), Some("t"));
        assert_eq!(of(&[("authorization", "Bearer t")]).token(), Some("t"));
        assert_eq!(of(&[("Authorization", "bearer  t ")]).token(), Some("t"));
        let both = [("Authorization", "Bearer a"), ("accessToken", "b")];
        assert_eq!(of(&both).token(), Some("a"));
        let password = of(&[("username", "u"), ("password", "p")]);
        assert_eq!((password.username, password.password), (Some("u"), Some("p")));
    }

    #[test]
    fn what_is_none() {
        for pair in [
            ("accessToken", ""),
            ("accessToken", "  "),
            ("Authorization", "t"),
            ("Authorization", "Basic dTpw"),
            ("Authorization", "Bearer "),
            ("Authorization", "Beärer t"),
            ("User-Agent", "Nacos-Server"),
            ("serverIdentity", "security"),
            ("access-token", "t"),
        ] {
            assert_eq!(of(&[pair]), Credentials::default(), "{pair:?}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let shown = format!("{:?}", of(&[("password", "hidden"), ("accessToken", "hidden")]));
        assert!(!shown.contains("hidden"), "{shown}");
    }
}
