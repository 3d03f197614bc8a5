//! Check of `[admin]`: address, token and host names of the admin listener.

use std::path::Path;

use super::super::settings::AdminListenerSettings;
use super::super::value::{Given, Section};
use super::file::secret;
use super::server::listen;
use crate::admin::{AdminSettings, Exposure};

pub(super) fn admin(admin: &mut Section, directory: &Path) -> Option<AdminListenerSettings> {
    let listen = admin.get("listen", |given| {
        let expected = "must be an address like \"127.0.0.1:9090\", or \"systemd\"";
        listen(given.text()?).ok_or(expected)
    });
    let configured = admin.has("token_file");
    let token = admin.optional("token_file", |given| secret(given, directory));
    let hosts = admin.get("hosts", Given::texts);
    let exposure = match (listen.is_loopback(), token) {
        (true, token) => Exposure::Loopback { token },
        (false, Some(token)) => Exposure::Network { token },
        (false, None) => {
            if !configured {
                let message = "is required unless admin.listen is a loopback address";
                admin.note("token_file", message);
            }
            return None;
        }
    };
    let hosts = hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
    Some(AdminListenerSettings { listen, guard: AdminSettings { exposure, hosts } })
}
