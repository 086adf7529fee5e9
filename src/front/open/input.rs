//! The parameters of one request, as the reference reads them (`http-api.md` 1.6).
//!
//! Blank parameters count as absent: real clients send every name they know.

use super::route::Version;
use crate::auth::Credentials;
use crate::auth::token::Claims;
use crate::http1::form::{Form, Part};
use crate::http1::header::HeaderMap;
use crate::http1::{Method, Patience};
use nacre_proto::code::Code;
use nacre_proto::open_api;
use nacre_proto::text::Pairs;
use nacre_shards::naming::open::{Address, Name, Refused};
use serde::de::DeserializeOwned;
use std::net::IpAddr;
use std::rc::Rc;

/// What a handler sees of a request.
#[derive(Debug)]
pub struct Input<'a> {
    pub form: Form<'a>,
    /// Files of a multipart body.
    pub files: Vec<Part>,
    /// The body as it came, form or not.
    pub body: &'a [u8],
    pub version: Version,
    /// As it came.
    pub path: &'a str,
    /// How long the answer may take.
    pub patience: Option<&'a Patience>,
    /// Who asks, through trusted proxies.
    pub source: IpAddr,
    /// `User-Agent`, or `Client-Version` where that is missing.
    pub agent: &'a str,
    /// The address of ours the request reached.
    pub local: std::net::SocketAddr,
    /// The `accept` header.
    pub accept: Option<&'a str>,
    pub method: Method,
    pub headers: &'a HeaderMap,
    /// Somebody says that he passes it on.
    pub forwarded: bool,
    /// Who asks, where that had to be proved.
    pub who: Option<Rc<Claims>>,
}

impl Input<'_> {
    /// What it says about who asks: a parameter wins over a header of its name.
    pub fn credentials(&self) -> Credentials<'_> {
        let mut credentials = Credentials::default();
        for (name, value) in self.headers {
            credentials.add(name.as_str(), value.to_str().unwrap_or_default());
        }
        self.form.iter().for_each(|(name, value)| credentials.add(name, value));
        credentials
    }

    /// A body that is a JSON object.
    ///
    /// # Errors
    /// It is none, or a member has another type.
    pub fn object<T: DeserializeOwned>(&self) -> Result<T, Refused> {
        let wrong = || Refused::new(400, Code::ParameterMissing, "the body is no JSON object");
        // Structures may be written as lists, too, which nobody means.
        let is_object = self.body.trim_ascii_start().starts_with(b"{");
        let parsed = is_object.then(|| serde_json::from_slice(self.body).ok()).flatten();
        parsed.ok_or_else(wrong)
    }

    /// Whether it comes from this machine itself, passed on by nobody.
    pub fn is_local(&self) -> bool {
        self.source.is_loopback() && !self.forwarded
    }

    /// A parameter that is there and not blank.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.form.get(name).filter(|value| !value.trim().is_empty())
    }

    /// The first of two names that is there.
    pub fn either(&self, name: &str, alias: &str) -> Option<&str> {
        self.get(name).or_else(|| self.get(alias))
    }

    pub fn text(&self, name: &str) -> String {
        self.get(name).unwrap_or_default().to_owned()
    }

    /// A header that is there and not blank.
    ///
    /// # Errors
    /// It is not text.
    pub fn header(&self, name: &str) -> Result<Option<&str>, Refused> {
        let Some(value) = self.headers.get(name) else { return Ok(None) };
        let text = value.to_str();
        let text = text.map_err(|_| Refused::invalid(format!("header {name} is not text")))?;
        Ok(Some(text).filter(|text| !text.trim().is_empty()))
    }

    /// A parameter that must be there.
    pub fn required(&self, name: &str) -> Result<&str, Refused> {
        self.get(name).ok_or_else(|| missing(name, self.version))
    }

    /// A whole number, or `default` when absent.
    pub fn whole(&self, name: &str, default: i64) -> Result<i64, Refused> {
        self.get(name).map_or(Ok(default), |text| number(text.trim()))
    }

    pub fn required_whole(&self, name: &str) -> Result<i64, Refused> {
        number(self.required(name)?.trim())
    }

    /// `pageNo` and `pageSize`, the latter at most `size_max`.
    ///
    /// # Errors
    /// In v3, where there is a form for it, one of them is below 1.
    pub fn page(&self, default_size: i64, size_max: i64) -> Result<(i64, i64), Refused> {
        let (page_no, page_size) =
            (self.whole("pageNo", 1)?, self.whole("pageSize", default_size)?);
        for (name, given) in [("pageNo", page_no), ("pageSize", page_size)] {
            if self.version == Version::V3 && given < 1 {
                let text = format!(
                    "Required parameter '{name}' should be positive integer, current is {given}"
                );
                return Err(Refused::invalid(text));
            }
        }
        Ok((page_no, page_size.min(size_max)))
    }

    /// A double, or `None` when absent.
    pub fn double(&self, name: &str) -> Result<Option<f64>, Refused> {
        let parse = |text: &str| text.trim().parse::<f64>().map_err(|_| no_number(text));
        self.get(name).map(parse).transpose()
    }

    /// A flag in any of the words clients use: `True`, `on`, `1`.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Refused> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "on" | "yes" | "1" | "t" | "y" => Ok(Some(true)),
            "false" | "off" | "no" | "0" | "f" | "n" => Ok(Some(false)),
            _ => Err(Refused::invalid(format!("Invalid boolean value [{text}]"))),
        }
    }

    /// The name of a service. In v1 it may be `group@@service`, which wins over `groupName`.
    pub fn name(&self) -> Result<Name, Refused> {
        let service = self.required("serviceName")?;
        let (namespace, group) = (self.text("namespaceId"), self.text("groupName"));
        if self.version != Version::V1 {
            return Ok(Name { namespace, group, service: service.to_owned() });
        }
        match service.split_once("@@") {
            None => Ok(Name { namespace, group, service: service.to_owned() }),
            Some(("", _)) => {
                Err(Refused::invalid("Param 'serviceName' is illegal, groupName can't be empty"))
            }
            Some((_, "")) => Err(Refused::invalid(
                "Param 'serviceName' is illegal, it should be format as 'groupName@@serviceName'",
            )),
            Some((group, service)) => {
                Ok(Name { namespace, group: group.to_owned(), service: service.to_owned() })
            }
        }
    }

    /// Where an instance is; v1 knows `cluster` beside `clusterName`.
    pub fn address(&self) -> Result<Address, Refused> {
        let ip = self.required("ip")?.trim().to_owned();
        let port = self.required_whole("port")?;
        let cluster = self.either("clusterName", "cluster").unwrap_or_default().to_owned();
        Ok(Address { ip, port, cluster })
    }

    /// The `metadata` parameter; `None` when absent.
    pub fn metadata(&self) -> Result<Option<Pairs<'static>>, Refused> {
        let Some(text) = self.get("metadata") else { return Ok(None) };
        // What Java clients write for none.
        if text.trim() == "null" {
            return Ok(Some(Pairs::default()));
        }
        let pairs = open_api::metadata(text).ok_or_else(|| {
            let text = format!("metadata format incorrect:{text}");
            Refused::new(400, Code::InstanceMetadataError, text)
        })?;
        Ok(Some(pairs.into_owned()))
    }
}

/// A parameter that must be there is not.
pub fn missing(name: &str, version: Version) -> Refused {
    let text = match version {
        Version::V1 => format!("Param '{name}' is required."),
        Version::V2 | Version::V3 => {
            format!("Required parameter '{name}' type String is not present")
        }
    };
    Refused::new(400, Code::ParameterMissing, text)
}

fn number(text: &str) -> Result<i64, Refused> {
    text.parse::<i32>().map(i64::from).map_err(|_| no_number(text))
}

/// Java's words.
fn no_number(text: &str) -> Refused {
    Refused::invalid(format!("For input string: \"{text}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(query: &'static str, version: Version) -> Input<'static> {
        let mut form = Form::default();
        form.add(query.as_bytes()).unwrap();
        let local = "127.0.0.1:8848".parse().unwrap();
        let source = "127.0.0.1".parse().unwrap();
        let (files, body) = (Vec::new(), &[][..]);
        Input {
            form,
            files,
            body,
            version,
            path: "/x",
            patience: None,
            source,
            agent: "",
            local,
            accept: None,
            method: Method::GET,
            headers: Box::leak(Box::default()),
            forwarded: false,
            who: None,
        }
    }

    fn name(query: &'static str, version: Version) -> Result<(String, String), String> {
        let name = input(query, version).name().map_err(|refused| refused.text.into_owned())?;
        Ok((name.group, name.service))
    }

    #[test]
    fn names_may_be_grouped_in_v1_only() {
        let of = |group: &str, service: &str| Ok((group.to_owned(), service.to_owned()));
        assert_eq!(name("serviceName=s", Version::V1), of("", "s"));
        assert_eq!(name("serviceName=g%40%40s&groupName=x", Version::V1), of("g", "s"));
        assert_eq!(name("serviceName=s&groupName=x", Version::V1), of("x", "s"));
        assert_eq!(name("serviceName=g@@s", Version::V3), of("", "g@@s"));
        for (query, text) in [
            ("", "Param 'serviceName' is required."),
            ("serviceName=%20", "Param 'serviceName' is required."),
            ("serviceName=@@s", "Param 'serviceName' is illegal, groupName can't be empty"),
            (
                "serviceName=g@@",
                "Param 'serviceName' is illegal, it should be format as 'groupName@@serviceName'",
            ),
        ] {
            assert_eq!(name(query, Version::V1), Err(text.to_owned()), "{query}");
        }
    }

    #[test]
    fn values_of_real_clients_and_wrong_ones() {
        let given = input("a=True&b=0&c=maybe&d=&n=12&m=1.5&w=0.5&x=99999999999", Version::V1);
        assert_eq!(given.flag("a"), Ok(Some(true)));
        assert_eq!(given.flag("b"), Ok(Some(false)));
        assert_eq!(given.flag("d"), Ok(None));
        assert!(given.flag("c").is_err());
        assert_eq!(given.whole("n", 0), Ok(12));
        assert_eq!(given.whole("d", 7), Ok(7));
        assert_eq!(given.double("w"), Ok(Some(0.5)));
        for wrong in ["m", "x", "c"] {
            let refused = given.whole(wrong, 0).unwrap_err();
            assert!(refused.text.starts_with("For input string: "), "{}", refused.text);
        }
    }

    #[test]
    fn pages_are_bounded_and_begin_at_one_in_v3() {
        for (query, version, page) in [
            ("", Version::V3, Some((1, 20))),
            ("pageNo=3&pageSize=999", Version::V3, Some((3, 500))),
            ("pageNo=0", Version::V3, None),
            ("pageSize=0", Version::V3, None),
            ("pageNo=-1&pageSize=-1", Version::V3, None),
            ("pageNo=-1&pageSize=-1", Version::V1, Some((-1, -1))),
            ("pageNo=x", Version::V1, None),
        ] {
            assert_eq!(input(query, version).page(20, 500).ok(), page, "{query} {version:?}");
        }
        let refused = input("pageNo=-1", Version::V3).page(20, 500).unwrap_err();
        let text = "Required parameter 'pageNo' should be positive integer, current is -1";
        assert_eq!((refused.status, &*refused.text), (400, text));
    }
}
