# Varnish with ikgate's task: it adds the key, caches in memory, keeps connections, limits by
# address.
vcl 4.1;

import vsthrottle;

backend default {
    .host = "@UPSTREAM_HOST@";
    .port = "@UPSTREAM_PORT@";
}

sub vcl_recv {
    if (vsthrottle.is_denied(@CALLER@, 10000000, 1s)) {
        return (synth(429));
    }
    return (hash);
}

sub vcl_backend_fetch {
    # printf 'private_sandbox=:' | base64
    set bereq.http.Authorization = "Basic cHJpdmF0ZV9zYW5kYm94PTo=";
}

sub vcl_backend_response {
    set beresp.ttl = 1h;
    # Compressed once, when it is stored.
    set beresp.do_gzip = @GZIP@;
}

sub vcl_deliver {
    set resp.http.X-Content-Type-Options = "nosniff";
    set resp.http.Vary = "Origin, Accept-Encoding";
}
