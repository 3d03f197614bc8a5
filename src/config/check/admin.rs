//! Check of `[admin]`: address, token and host names of the admin listener.

use std::path::Path;

use super::super::given::each;
use super::super::section::{Noted, Section};
use super::super::settings::AdminListenerSettings;
use super::file::secret;
use super::listeners::note_admin_clash;
use super::server::listen;
use crate::admin::{AdminSettings, Exposure};
use crate::server::ListenSource;

/// Shortest admin token that cannot be guessed, in bytes.
const TOKEN_BYTES_MIN: usize = 16;

/// Checks `[admin]`. `public`: the public listeners, whose addresses it must not share.
pub(super) fn admin(
    admin: &mut Section,
    directory: &Path,
    noted: &Noted,
    public: &[ListenSource],
) -> Option<AdminListenerSettings> {
    let is_written = admin.has("listen");
    let listen = admin.get("listen", |given| listen(given.text().map_err(str::to_owned)?));
    note_admin_clash(noted, public, listen, is_written);
    let configured = admin.has("token_file");
    let token = secret(admin, "token_file", directory);
    if token.as_ref().is_some_and(|token| token.expose().len() < TOKEN_BYTES_MIN) {
        let message = format_args!("holds fewer than {TOKEN_BYTES_MIN} bytes: it can be guessed");
        admin.warn("token_file", message);
    }
    let hosts = admin.get("hosts", |given| {
        let texts = given.texts().map_err(str::to_owned)?;
        each(&texts, host)
    });
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
    Some(AdminListenerSettings { listen, guard: AdminSettings { exposure, hosts } })
}

/// Reads a name of the admin listener. Requests are compared with it without their port.
fn host(text: &str) -> Result<String, String> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if text.is_empty() || !text.bytes().all(is_name) {
        return Err(format!("{text:?} is no host name: write it without a scheme and a port"));
    }
    Ok(text.to_ascii_lowercase())
}
