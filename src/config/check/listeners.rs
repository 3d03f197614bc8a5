//! Check of the listeners against each other: two that cannot be open at once are a problem, or the
//! start would fail as if another program held the port.

use std::net::SocketAddr;

use super::super::section::Noted;
use crate::server::{ListenSource, clash, includes};

const PUBLIC: &str = "server.listen";
const ADMIN: &str = "admin.listen";

/// Notes each address of `server.listen` that clashes with one before it.
pub(super) fn note_public_clashes(noted: &Noted, public: &[ListenSource]) {
    let addresses: Vec<_> = public.iter().filter_map(address).collect();
    for (place, &second) in addresses.iter().enumerate() {
        let before = addresses.iter().copied().take(place);
        let Some(first) = before.into_iter().find(|&first| clash(first, second)) else { continue };
        if first == second {
            noted.note(PUBLIC, format_args!("\"{first}\" is listed twice: remove one"));
            continue;
        }
        let (wide, narrow) =
            if includes(first, second) { (first, second) } else { (second, first) };
        let message = format_args!(
            "\"{wide}\" includes \"{narrow}\": remove \"{narrow}\", or give it another port"
        );
        noted.note(PUBLIC, message);
    }
}

/// Notes an address of `server.listen` that clashes with the admin listener's. The problem is one of
/// `admin.listen`, or of `server.listen` if `admin.listen` has its default.
pub(super) fn note_admin_clash(
    noted: &Noted,
    public: &[ListenSource],
    admin: ListenSource,
    admin_is_written: bool,
) {
    // In place of a value with a problem stands the default, which the operator did not write.
    if noted.has(PUBLIC) || noted.has(ADMIN) {
        return;
    }
    let Some(admin) = address(&admin) else { return };
    let Some(public) = public.iter().filter_map(address).find(|&public| clash(public, admin))
    else {
        return;
    };
    let remedy = "cannot both be open: give one of them another port";
    if admin_is_written {
        noted.note(ADMIN, format_args!("\"{admin}\" and \"{public}\" of {PUBLIC} {remedy}"));
    } else {
        let message =
            format_args!("\"{public}\" and \"{admin}\", the default of {ADMIN}, {remedy}");
        noted.note(PUBLIC, message);
    }
}

/// Returns the address that a listener binds; `None` for passed sockets.
fn address(listen: &ListenSource) -> Option<SocketAddr> {
    match listen {
        ListenSource::Address(address) => Some(*address),
        ListenSource::Passed => None,
    }
}
