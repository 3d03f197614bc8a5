//! Guide for callers as one static HTML page: without scripts, pictures and forms.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::guide::Guide;

/// Style sheet of the page. The policy of the response names its digest.
const STYLE: &str = "body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;\
                     padding:0 1rem;color-scheme:light dark}\
                     pre{overflow-x:auto;padding:.75rem;border:1px solid}\
                     table{border-collapse:collapse}\
                     td,th{border-bottom:1px solid;padding:.25rem .75rem .25rem 0;\
                     text-align:left;vertical-align:top}";

pub(super) fn page(guide: &Guide) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "ikgate" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "ikgate" }
                p { (guide.about) }
                ul {
                    @for operation in guide.operations { li { code { (operation) } } }
                }
                p {
                    "For programs: this page as JSON (" code { "Accept: application/json" } "), and "
                    a href="openapi.json" { (guide.openapi) } "."
                }
                h2 { "Credentials" }
                table {
                    tr { th { "Credential" } th { "Send" } }
                    @for method in &guide.authentication {
                        tr { td { (method.credential) } td { (method.send) } }
                    }
                }
                h2 { "Samples" }
                @for sample in &guide.samples {
                    h3 { "From " (sample.client) }
                    pre { (sample.code) }
                }
                h2 { "Limits" }
                p { (guide.limits.text) }
                h2 { "Errors" }
                p {
                    "An error is JSON with " code { "message" } ", " code { "help" } " and a stable "
                    code { "code" } ". ImageKit's own 404 and 400 have no " code { "code" } "."
                }
                table {
                    tr {
                        th { "Code" } th { "Status" } th { "Happens when" } th { "Retry" }
                        th { "What to do" }
                    }
                    @for row in &guide.errors {
                        tr {
                            td { code { (row.code) } } td { (row.status) } td { (row.when) }
                            td { (row.retry) } td { (row.remedy) }
                        }
                    }
                }
                p { (guide.contact) }
            }
        }
    }
}
