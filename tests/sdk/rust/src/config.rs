//! The SDK's config client behind the judge protocol.

use std::sync::Arc;

use nacos_sdk::api::config::{
    ConfigChangeListener, ConfigResponse, ConfigService, ConfigServiceBuilder,
};
use nacos_sdk::api::error::Error;
use nacos_sdk::api::props::ClientProps;
use serde_json::{Value, json};

use crate::{Outcome, Request, say};

/// Prints what the SDK's own listener was given.
struct Listener;

impl ConfigChangeListener for Listener {
    fn notify(&self, config: ConfigResponse) {
        say(&json!({"event": "config", "data_id": config.data_id(), "content": config.content()}));
    }
}

/// A config client, once connected.
#[derive(Default)]
pub struct Config {
    service: Option<ConfigService>,
}

impl Config {
    /// `None`: not an operation on configs.
    pub async fn carry_out(&mut self, request: &Request) -> Option<Outcome> {
        let outcome = match request.op.as_str() {
            "connect_config" => self.connect(request).await,
            "address" => local_ipaddress::get().map(Value::from).ok_or("no address".to_owned()),
            "publish" => self.publish(request).await,
            "get" => self.get(request).await,
            "remove" => self.remove(request).await,
            "listen" => self.listen(request).await,
            _ => return None,
        };
        Some(outcome)
    }

    fn service(&self) -> Result<&ConfigService, String> {
        self.service.as_ref().ok_or_else(|| "not connected".to_owned())
    }

    async fn connect(&mut self, request: &Request) -> Outcome {
        let settings = ClientProps::new()
            .server_addr(&request.server)
            .namespace(&request.namespace)
            .env_first(false)
            .cache_dir("cache")
            .config_load_cache_at_start(false);
        let service = ConfigServiceBuilder::new(settings).build().await;
        self.service = Some(service.map_err(|error| error.to_string())?);
        Ok(Value::Null)
    }

    async fn publish(&self, request: &Request) -> Outcome {
        let service = self.service()?;
        let Request { data_id, content, .. } = request;
        let (data_id, group, content) = (data_id.clone(), group(request), content.clone());
        let published = match (&request.cas_md5, &request.beta_ips) {
            (Some(md5), _) => {
                service.publish_config_cas(data_id, group, content, None, md5.clone()).await
            }
            (None, Some(ips)) => {
                service.publish_config_beta(data_id, group, content, None, ips.clone()).await
            }
            (None, None) => service.publish_config(data_id, group, content, None).await,
        };
        published.map(Value::from).map_err(|error| error.to_string())
    }

    async fn get(&self, request: &Request) -> Outcome {
        match self.service()?.get_config(request.data_id.clone(), group(request)).await {
            Ok(found) => Ok(found.content().as_str().into()),
            Err(Error::ConfigNotFound(_)) => Ok(Value::Null),
            Err(error) => Err(error.to_string()),
        }
    }

    async fn remove(&self, request: &Request) -> Outcome {
        let removed = self.service()?.remove_config(request.data_id.clone(), group(request)).await;
        removed.map(Value::from).map_err(|error| error.to_string())
    }

    async fn listen(&self, request: &Request) -> Outcome {
        let data_id = request.data_id.clone();
        let listened = self.service()?.add_listener(data_id, group(request), Arc::new(Listener));
        listened.await.map(|()| Value::Null).map_err(|error| error.to_string())
    }
}

fn group(request: &Request) -> String {
    request.group.clone().unwrap_or_default()
}
